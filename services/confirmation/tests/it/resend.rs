//! `POST /api/orders/{id}/resend-confirmation`.

use std::time::Duration;

use common::events::{CancelReason, OrderCreated};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_buyer_gets_the_confirmation_again_a_few_times_a_day() {
    let world = World::start().await;
    let order = world.sale().await;
    world.all_sent().await;
    let path = format!("/api/orders/{}/resend-confirmation", order.id);
    let client = world.client(&world.buyer);

    let refused = client.post(&path, json!({})).await;
    refused.problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), Some("60"));
    for number in 1..=3 {
        world.all_sent().await;
        world.infra.clock.advance(Duration::from_secs(60));
        let response = client.post(&path, json!({})).await;
        assert_eq!(response.expect(201)["id"], format!("paid:{}:{number}", order.id));
        assert_eq!(response.header("location"), Some(&*format!("/api/orders/{}/mails", order.id)));
    }
    world.all_sent().await;
    let arrived = world.mailbox.expect(5).await;
    let again = arrived.last().unwrap();
    assert_eq!(again.message_id, format!("paid.{}.3@example.com", order.id));
    assert_eq!(again.subject, "You bought: Tosca, row 7");

    world.infra.clock.advance(Duration::from_secs(60));
    let refused = client.post(&path, json!({})).await;
    refused.problem(429, "too-many-requests");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    world.infra.clock.advance(Duration::from_secs(wait));
    client.post(&path, json!({})).await.expect(201);
    world.mailbox.expect(6).await;
}

#[tokio::test]
async fn a_repeated_request_sends_one_mail_and_concurrent_ones_are_limited() {
    let world = World::start().await;
    let order = world.sale().await;
    world.all_sent().await;
    world.infra.clock.advance(Duration::from_secs(60));
    let path = format!("/api/orders/{}/resend-confirmation", order.id);
    let client = world.client(&world.buyer).with_idempotency_key("1");
    let first = client.post(&path, json!({})).await;
    first.expect(201);
    let again = client.post(&path, json!({})).await;
    assert_eq!(first.stored_parts(), again.stored_parts());
    world.all_sent().await;

    world.infra.clock.advance(Duration::from_secs(60));
    let clients: Vec<_> = (0..8).map(|_| world.client(&world.buyer)).collect();
    let requests = clients.iter().map(|client| client.post(&path, json!({})));
    let responses = futures::future::join_all(requests).await;
    let accepted = responses.iter().filter(|response| response.status.as_u16() == 201);
    assert_eq!(accepted.count(), 1, "{responses:?}");
    world.mailbox.expect(4).await;
}

#[tokio::test]
async fn only_the_buyer_of_a_complete_order_may() {
    let world = World::start().await;
    let order = world.order();
    world.bus().publish(&OrderCreated(order.clone())).await;
    world.settled().await;
    let path = format!("/api/orders/{}/resend-confirmation", order.id);
    let client = world.client(&world.buyer);
    client.post(&path, json!({})).await.problem(409, "order-not-complete");
    let complete = world.sale().await;
    let path = format!("/api/orders/{}/resend-confirmation", complete.id);
    for other in [&world.seller, &world.infra.user()] {
        world.client(other).post(&path, json!({})).await.problem(403, "not-allowed");
    }
    world.service.client().post(&path, json!({})).await.problem(401, "not-signed-in");
    world.cancel(&complete, CancelReason::Refunded).await;
    client.post(&path, json!({})).await.problem(409, "order-not-complete");
}
