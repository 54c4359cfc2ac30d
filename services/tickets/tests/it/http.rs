use serde_json::json;
use testkit::{Forgery, Method};

use crate::world::{World, path};

#[tokio::test]
async fn a_forged_token_is_rejected() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let body = json!({ "title": "x", "price": 1 });
    for forgery in Forgery::ALL {
        let client = world.client_as(&world.infra.forged(&seller, forgery));
        client.post("/api/tickets", body.clone()).await.problem(401, "not-signed-in");
        client.put(&path(&ticket), body.clone()).await.problem(401, "not-signed-in");
        client.delete(&path(&ticket)).await.problem(401, "not-signed-in");
        client.get("/api/tickets?mine=true").await.problem(401, "not-signed-in");
        client.get(&path(&ticket)).await.expect(200);
    }
    for garbage in ["", "x", "a.b.c", &"x".repeat(4000)] {
        let client = world.service.client().cookie("session", garbage);
        client.post("/api/tickets", body.clone()).await.problem(401, "not-signed-in");
    }
    assert_eq!(world.get(&seller, &ticket).await.expect(200), ticket);
}

#[tokio::test]
async fn an_unsupported_method_gets_the_supported_ones_in_allow() {
    let world = World::start().await;
    let ticket = world.default_ticket(&world.user()).await;
    for (path, method, supported) in [
        ("/api/tickets".to_owned(), Method::PUT, ["GET", "HEAD", "POST"].as_slice()),
        ("/api/tickets".to_owned(), Method::DELETE, &["GET", "HEAD", "POST"]),
        (path(&ticket), Method::POST, &["DELETE", "GET", "HEAD", "PUT"]),
        (path(&ticket), Method::PATCH, &["DELETE", "GET", "HEAD", "PUT"]),
    ] {
        let response = world.service.client().request(method, &path).send().await;
        response.problem(405, "method-not-allowed");
        let mut allowed: Vec<_> =
            response.header("allow").unwrap().split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, supported, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let world = World::start().await;
    for path in ["/", "/api", "/api/tickets/", "/api/tickets/1/2", "/api/ticket", "/%00"] {
        world.service.client().get(path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_write_from_another_site_is_refused() {
    let world = World::start().await;
    let client = world.client_as(&world.user()).header("sec-fetch-site", "cross-site");
    let body = json!({ "title": "x", "price": 1 });
    client.post("/api/tickets", body).await.problem(403, "cross-site");
    client.get("/api/tickets").await.expect(200);
}
