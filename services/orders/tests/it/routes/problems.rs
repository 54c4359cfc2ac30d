//! `GET /api/orders/problems`.

use std::time::Duration;

use common::events::{PaymentRefunded, UserCreated};
use orders::domain::Order;
use serde_json::{Value, json};
use testkit::TestUser;
use testkit::fixtures::{self, UserChanges as _};

use crate::world::World;

const PATH: &str = "/api/orders/problems";

async fn report(world: &World, user: &TestUser, order: &Order, body: Value) {
    let path = format!("/api/orders/{}/handover", order.id);
    world.client(user).put(&path, body).await.expect(200);
    world.infra.clock.advance(Duration::from_secs(1));
}

/// The buyer reports a problem.
async fn complain(world: &World, order: &Order, message: &str) {
    report(world, &world.buyer, order, json!({ "state": "problem", "message": message })).await;
}

async fn paid(world: &World) -> Order {
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    order
}

async fn publish_user(world: &World, user: &TestUser, email: &str) {
    let user = fixtures::user(world.infra.clock.now()).with_id(user.id).with_email(email);
    world.bus().publish(&UserCreated(user)).await;
    world.settled().await;
}

async fn listed(world: &World, query: &str) -> Vec<String> {
    let client = world.client(&world.infra.admin());
    let page = client.get(&format!("{PATH}{query}")).await.expect(200);
    let orders = page["orders"].as_array().unwrap().iter();
    orders.map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_administrator_sees_what_is_reported_until_it_is_solved() {
    let world = World::start().await;
    let first = paid(&world).await;
    let second = world.order(&world.ticket().await).await;
    let payment = world.pay(&second).await;
    assert!(listed(&world, "").await.is_empty());
    complain(&world, &first, "It never came.").await;
    complain(&world, &second, "It is for another day.").await;
    let (first_id, second_id) = (first.id.to_string(), second.id.to_string());
    assert_eq!(listed(&world, "").await, [&*second_id, &first_id]);
    // In other words, it is the latest.
    complain(&world, &first, "It still hasn't come.").await;
    assert_eq!(listed(&world, "").await, [&*first_id, &second_id]);

    let response = world.client(&world.infra.admin()).get(PATH).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let shown = &response.expect(200)["orders"][0];
    assert_eq!(shown["handover"]["problem"]["message"], "It still hasn't come.");
    assert!(shown["ticket"]["title"].is_string() && shown["total"].is_string(), "{shown}");

    // That the seller has sent it again doesn't solve it; that the buyer has it does, and so does a refund.
    report(&world, &world.seller, &first, json!({ "state": "sent" })).await;
    assert_eq!(listed(&world, "").await, [&*first_id, &second_id]);
    report(&world, &world.buyer, &first, json!({ "state": "received" })).await;
    assert_eq!(listed(&world, "").await, [&*second_id]);
    world.bus().publish(&PaymentRefunded(fixtures::refund(&payment))).await;
    world.settled().await;
    assert!(listed(&world, "").await.is_empty());
}

#[tokio::test]
async fn they_see_whom_to_ask_page_by_page() {
    let world = World::start().await;
    publish_user(&world, &world.buyer, "buyer@example.org").await;
    publish_user(&world, &world.seller, "seller@example.org").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let order = paid(&world).await;
        complain(&world, &order, "It never came.").await;
        ids.insert(0, order.id.to_string());
    }
    let client = world.client(&world.infra.admin());
    let page = client.get(&format!("{PATH}?limit=2")).await.expect(200);
    assert_eq!(page["orders"][0]["buyer"]["email"], "buyer@example.org");
    assert_eq!(page["orders"][0]["seller"]["email"], "seller@example.org");
    let next = page["next"].as_str().unwrap();
    assert_eq!(listed(&world, "?limit=2").await, ids[..2]);
    assert_eq!(listed(&world, &format!("?limit=2&cursor={next}")).await, ids[2..]);
    let rest = client.get(&format!("{PATH}?cursor={next}")).await.expect(200);
    assert_eq!(rest["next"], Value::Null);
    // The cursor of another list.
    let orders = client.get(&format!("/api/orders?cursor={next}")).await;
    assert_eq!(orders.invalid_fields(), ["cursor"]);
}

#[tokio::test]
async fn nobody_else_sees_the_list() {
    let world = World::start().await;
    let order = paid(&world).await;
    complain(&world, &order, "It never came.").await;
    for user in [&world.buyer, &world.seller, &world.infra.user()] {
        let refused = world.client(user).get(PATH).await;
        refused.problem(403, "not-allowed");
        assert!(!refused.text.contains("never came"));
    }
    world.service.client().get(PATH).await.problem(401, "not-signed-in");
}
