//! What applies to every endpoint: authentication, and problem documents.

use serde_json::json;
use testkit::{Forgery, Method};

use crate::world::{World, path};

const ROUTES: [(Method, &str); 4] = [
    (Method::POST, "/api/orders"),
    (Method::GET, "/api/orders"),
    (Method::GET, "/api/orders/{id}"),
    (Method::DELETE, "/api/orders/{id}"),
];

#[tokio::test]
async fn a_missing_or_forged_token_is_refused() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let other = world.ticket().await;
    for (method, route) in ROUTES {
        let route = route.replace("{id}", &order.id.to_string());
        let body = json!({ "ticketId": other.id });
        let anyone = world.service.client().request(method.clone(), &route).json(body.clone());
        anyone.send().await.problem(401, "not-signed-in");
        for forgery in Forgery::ALL {
            let forged = world.client(&world.infra.forged(&world.buyer, forgery));
            let response = forged.request(method.clone(), &route).json(body.clone()).send().await;
            response.problem(401, "not-signed-in");
        }
        for token in ["", "x", "a.b.c"] {
            let invalid = world.service.client().cookie("session", token);
            let response = invalid.request(method.clone(), &route).json(body.clone()).send().await;
            response.problem(401, "not-signed-in");
        }
    }
    assert_eq!(world.stored(order.id).await, order);
    assert_eq!(world.holder(other.id).await, None);
}

#[tokio::test]
async fn an_unknown_route_and_an_unsupported_method_are_problems() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let client = world.client(&world.buyer);
    for route in ["/", "/api", "/api/order", "/api/orders/", "/api/orders/1/2", "/api/Orders"] {
        client.get(route).await.problem(404, "not-found");
    }
    for (method, route, allowed) in [
        (Method::PUT, "/api/orders".to_owned(), ["GET", "POST"]),
        (Method::PATCH, "/api/orders".to_owned(), ["GET", "POST"]),
        (Method::DELETE, "/api/orders".to_owned(), ["GET", "POST"]),
        (Method::POST, path(&order), ["GET", "DELETE"]),
        (Method::PUT, path(&order), ["GET", "DELETE"]),
    ] {
        let response = client.request(method, &route).send().await;
        response.problem(405, "method-not-allowed");
        let allow = response.header("allow").unwrap();
        assert!(allowed.iter().all(|method| allow.contains(method)), "{allow}");
    }
}

#[tokio::test]
async fn a_malformed_id_is_not_found() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let client = world.client(&world.buyer);
    for id in [
        "1",
        "null",
        "%00",
        "%ff%fe",
        "%7B%22$gt%22:%22%22%7D",
        "00000000-0000-0000-0000-000000000000",
        &order.id.to_string().to_uppercase(),
        &format!("{}x", order.id),
        &order.ticket_id.to_string(),
        &"9".repeat(4000),
    ] {
        client.get(&format!("/api/orders/{id}")).await.problem(404, "not-found");
        client.delete(&format!("/api/orders/{id}")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_write_from_another_sites_page_is_refused() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let body = json!({ "ticketId": ticket.id });
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let evil = world.client(&world.buyer).header(name, value);
        evil.post("/api/orders", body.clone()).await.problem(403, "cross-site");
    }
    let ours = world.client(&world.buyer).header("sec-fetch-site", "same-origin");
    ours.post("/api/orders", body).await.expect(201);
}
