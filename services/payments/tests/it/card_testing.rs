//! Somebody tries one card after the other, with an order for every few of them.

use std::time::Duration;

use common::Clock;
use testkit::TestService;

use crate::world::World;

/// As `DECLINES_PER_DAY` has it.
const DECLINES_PER_DAY: usize = 20;

#[tokio::test]
async fn the_declined_cards_of_a_buyer_are_limited_over_all_of_their_orders_and_for_a_day() {
    let world = World::start_at(Clock::manual(Clock::system().now())).await;
    let mut declined = 0;
    let refused = loop {
        let order = world.order().await;
        let mut refused = None;
        for _ in 0..2 {
            let response = world.pay(&order, "tok_chargeDeclined").await;
            match response.status.as_u16() {
                402 => declined += 1,
                _ => refused = Some(response),
            }
        }
        if let Some(refused) = refused {
            break refused;
        }
    };
    assert_eq!(declined, DECLINES_PER_DAY);
    let problem = refused.problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), Some("86400"));
    assert_eq!(problem["retryAfter"], 86_400);

    // Nor is a good one tried, by this buyer, and by whichever replica; another buyer's is.
    let order = world.order().await;
    world.pay(&order, "tok_visa").await.problem(429, "too-many-requests");
    let replica = payments::app::service(world.app.clone(), world.infra.verifier());
    let replica = TestService::serve(replica).await;
    let body = serde_json::json!({ "orderId": order.id, "token": "tok_visa" });
    let buyer = replica.client_as(&world.buyer);
    buyer.post("/api/payments", body).await.problem(429, "too-many-requests");
    let other = World::start_at(world.infra.clock.clone()).await;
    other.pay(&other.order().await, "tok_visa").await.expect(201);

    world.infra.clock.advance(Duration::from_secs(24 * 60 * 60));
    let order = world.order().await;
    world.pay(&order, "tok_visa").await.expect(201);
}

/// What was sent before gets its response, whatever has become of the limit.
#[tokio::test]
async fn a_repeat_of_the_last_decline_gets_its_response() {
    let world = World::start().await;
    let order = world.order().await;
    let key = |number: usize| format!("card-{number}");
    let pay = async |number: usize, order: &common::events::Order| {
        let buyer = world.service.client_as(&world.buyer).with_idempotency_key(&key(number));
        let body = serde_json::json!({ "orderId": order.id, "token": "tok_chargeDeclined" });
        buyer.post("/api/payments", body).await
    };
    let first = pay(0, &order).await;
    first.expect(402);
    for number in 1..DECLINES_PER_DAY {
        pay(number, &world.order().await).await.expect(402);
    }
    pay(DECLINES_PER_DAY, &world.order().await).await.problem(429, "too-many-requests");
    assert_eq!(pay(0, &order).await.stored_parts(), first.stored_parts());
}
