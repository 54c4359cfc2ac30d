//! What payments asks of its database.

use common::events::CancelReason;
use serde_json::json;
use testkit::Profile;

use crate::world::World;

#[tokio::test]
async fn every_query_has_a_time_limit_and_an_index() {
    let world = World::start().await;
    let profile = Profile::start(&world.infra.database("payments").await).await;
    let (order, other) = (world.order().await, world.order().await);
    let payment = world.pay(&order, "tok_visa").await.expect(201);
    world.pay(&other, "tok_chargeDeclined").await.expect(402);
    world.cancel(&other, CancelReason::Expired).await;
    let path = format!("/api/payments/{}", payment["id"].as_str().unwrap());
    let seller = world.service.client_as(&world.seller).with_idempotency_key("refund");
    seller.get(&path).await.expect(200);
    seller.post(&format!("{path}/refund"), json!({})).await.expect(202);
    world.payment_is(&order, "refunded").await;
    world.published().await;
    profile.assert_bounded().await;
}

#[tokio::test]
async fn broken_promises_are_found_by_indexes() {
    let world = World::start().await;
    let (database, now) = (world.infra.database("payments").await, world.infra.clock.now());
    testkit::assert_promises_have_indexes(&database, &payments::promises::PROMISES, now).await;
}
