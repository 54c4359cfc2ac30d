//! `payment.disputed`: only a dispute that is lost ends the order; its places don't go back on sale.

use common::events::{CancelReason, DisputeStatus, PaymentDisputed};
use testkit::fixtures;

use crate::world::World;

#[tokio::test]
async fn a_dispute_that_is_open_or_won_changes_nothing() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let paid = world.pay(&order).await;
    let before = world.stored(order.id).await;
    for status in [DisputeStatus::Open, DisputeStatus::Won] {
        world.bus().publish(&PaymentDisputed(fixtures::disputed(&paid, status))).await;
    }
    world.settled().await;
    assert_eq!(world.stored(order.id).await, before);
}

#[tokio::test]
async fn a_lost_dispute_ends_the_order_and_its_place_stays_taken() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    let paid = world.pay(&order).await;
    let lost = PaymentDisputed(fixtures::disputed(&paid, DisputeStatus::Lost));
    for _ in 0..2 {
        world.bus().publish_again(&lost).await;
        world.settled().await;
    }
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(CancelReason::Disputed));
    assert!(stored.occupies && stored.payment.as_ref().unwrap().settled);
    assert_eq!(world.seen(&order).await["cancelReason"], "disputed");
    world.try_to_order(&world.infra.user(), ticket.id).await.problem(409, "ticket-closed");
}
