use serde_json::json;
use testkit::{Forgery, Method};

use crate::market::{Market, path};

#[tokio::test]
async fn a_forged_token_is_no_sign_in() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let body = json!({ "title": "x", "price": 1 });
    for forgery in Forgery::ALL {
        let client = market.client_as(&market.infra.forged(&seller, forgery));
        client.post("/api/tickets", body.clone()).await.problem(401, "not-signed-in");
        client.put(&path(&ticket), body.clone()).await.problem(401, "not-signed-in");
        client.delete(&path(&ticket)).await.problem(401, "not-signed-in");
        client.get("/api/tickets?mine=true").await.problem(401, "not-signed-in");
        client.get(&path(&ticket)).await.expect(200);
    }
    for rubbish in ["", "x", "a.b.c", &"x".repeat(4000)] {
        let client = market.service.client().cookie("session", rubbish);
        client.post("/api/tickets", body.clone()).await.problem(401, "not-signed-in");
    }
    assert_eq!(market.look(&seller, &ticket).await.expect(200), ticket);
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_told_which_are() {
    let market = Market::open().await;
    let ticket = market.any_ticket(&market.user()).await;
    for (path, method, taken) in [
        ("/api/tickets".to_owned(), Method::PUT, ["GET", "HEAD", "POST"].as_slice()),
        ("/api/tickets".to_owned(), Method::DELETE, &["GET", "HEAD", "POST"]),
        (path(&ticket), Method::POST, &["DELETE", "GET", "HEAD", "PUT"]),
        (path(&ticket), Method::PATCH, &["DELETE", "GET", "HEAD", "PUT"]),
    ] {
        let answer = market.service.client().request(method, &path).send().await;
        answer.problem(405, "method-not-allowed");
        let mut allowed: Vec<_> =
            answer.header("allow").unwrap().split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, taken, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let market = Market::open().await;
    for path in ["/", "/api", "/api/tickets/", "/api/tickets/1/2", "/api/ticket", "/%00"] {
        market.service.client().get(path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_write_from_another_site_is_refused() {
    let market = Market::open().await;
    let client = market.client_as(&market.user()).header("sec-fetch-site", "cross-site");
    let body = json!({ "title": "x", "price": 1 });
    client.post("/api/tickets", body).await.problem(403, "cross-site");
    client.get("/api/tickets").await.expect(200);
}
