//! `GET /api/orders/{id}/history`.

use std::time::Duration;

use common::Time;
use orders::domain::Order;
use serde_json::{Value, json};

use crate::world::{World, path};

/// What the buyer sees: event, detail, time.
async fn history(world: &World, order: &Order) -> Vec<(String, Option<String>, i64)> {
    let path = format!("{}/history", path(order));
    let body = world.client(&world.buyer).get(&path).await.expect(200);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let at = |value: &Value| serde_json::from_value::<Time>(value.clone()).unwrap().millis();
    let entries = body["history"].as_array().unwrap().iter();
    let entry = |it: &Value| (text(&it["event"]).unwrap(), text(&it["detail"]), at(&it["at"]));
    entries.map(entry).collect()
}

fn names(history: &[(String, Option<String>, i64)]) -> Vec<(&str, Option<&str>)> {
    history.iter().map(|(event, detail, _)| (event.as_str(), detail.as_deref())).collect()
}

#[tokio::test]
async fn it_says_what_has_happened_when_and_why() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let placed = world.infra.clock.now().millis();
    world.expire(&order).await;
    let expired = world.infra.clock.now().millis();
    let expected = [
        ("order.created".to_owned(), None, placed),
        ("order.cancelled".to_owned(), Some("expired".to_owned()), expired),
    ];
    assert_eq!(history(&world, &order).await, expected);

    // A late payment revives it, and the seller delivers.
    world.pay(&order).await;
    world.infra.clock.advance(Duration::from_secs(60));
    let sent = json!({ "state": "sent" });
    let handover = format!("{}/handover", path(&order));
    for _ in 0..2 {
        world.client(&world.seller).put(&handover, sent.clone()).await.expect(200);
    }
    let history = history(&world, &order).await;
    assert_eq!(names(&history)[2..], [("order.completed", None), ("order.updated", Some("sent"))]);
}

/// A confirmed reservation is no event, and what is published once more has happened before.
#[tokio::test]
async fn republished_events_and_repeated_ones_add_nothing() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for _ in 0..2 {
        world.confirm_reserved(&order).await;
    }
    world.cancel(&order).await;
    // Paid after that: the refund is owed, and asked for again.
    world.pay(&order).await;
    world.a_day_passes().await;
    world.infra.program("orders").run(&["republish"]).await.expect_success();
    world.infra.program("orders").run(&["republish", "--restored"]).await.expect_success();
    let expected = [
        ("order.created", None),
        ("order.cancelled", Some("user")),
        ("order.refund_required", Some("order_cancelled")),
    ];
    assert_eq!(names(&history(&world, &order).await), expected);
    assert!(world.refunds_required(&order).await.len() > 1, "it was published again");
}

#[tokio::test]
async fn it_is_for_the_parties_and_admins() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let path = format!("{}/history", path(&order));
    for user in [&world.buyer, &world.seller, &world.infra.admin()] {
        let response = world.client(user).get(&path).await;
        assert_eq!(response.expect(200)["history"][0]["event"], "order.created");
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    world.client(&world.infra.user()).get(&path).await.problem(403, "not-allowed");
    world.service.client().get(&path).await.problem(401, "not-signed-in");
    let nowhere = "/api/orders/0190a0a0-0000-7000-8000-000000000000/history";
    world.client(&world.buyer).get(nowhere).await.problem(404, "not-found");
}

/// The version before keeps none.
#[tokio::test]
async fn an_order_of_before_has_a_history_from_then_on() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let orders = world.infra.database("orders").await.collection::<bson::Document>("orders");
    let unset = bson::doc! { "$unset": { "history": "" } };
    orders.update_one(bson::doc! { "_id": order.id.to_string() }, unset).await.unwrap();
    assert_eq!(history(&world, &order).await, []);
    world.cancel(&order).await;
    assert_eq!(names(&history(&world, &order).await), [("order.cancelled", Some("user"))]);
}
