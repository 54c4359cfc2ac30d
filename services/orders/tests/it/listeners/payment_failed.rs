//! `payment.failed`: only the final one ends an order, unless it is older than the success that was answered.

use common::events::{CancelReason, OrderStatus, PaymentFailed};

use testkit::fixtures::FailedPaymentChanges as _;

use crate::world::{World, failed, path};

#[tokio::test]
async fn a_decline_that_is_not_final_changes_nothing() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    for attempt in [1, 2] {
        world.bus().publish(&PaymentFailed(failed(&order, attempt, false))).await;
    }
    world.settled().await;
    assert_eq!(world.stored(order.id).await, order);
}

#[tokio::test]
async fn the_final_decline_ends_the_order_and_releases_the_ticket() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_reserved(&order).await;
    world.bus().publish(&PaymentFailed(failed(&order, 3, true))).await;
    world.settled().await;
    let stored = world.stored(order.id).await;
    assert_eq!(stored.status, OrderStatus::Cancelled);
    assert_eq!(stored.cancel_reason, Some(CancelReason::PaymentFailed));
    let seen = world.client(&world.buyer).get(&path(&order)).await.expect(200);
    assert_eq!(seen["cancelReason"], "payment_failed");
    assert_eq!(world.events_of(&order).await, [("created", 1), ("cancelled", 3)]);
    let next = world.order_as(&world.infra.user(), &ticket).await;
    assert_eq!(next.places, order.places);
}

/// The failure is that of an attempt before the success, which is newer.
#[tokio::test]
async fn a_failure_that_is_older_than_the_success_changes_nothing() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.pay(&order).await;
    let before = world.stored(order.id).await;
    let older = failed(&order, 3, true).with_version(2);
    for _ in 0..2 {
        world.bus().publish_again(&PaymentFailed(older.clone())).await;
        world.settled().await;
    }
    assert_eq!(world.stored(order.id).await, before);
}

/// The authorisation has expired, or was cancelled at Stripe.
#[tokio::test]
async fn a_capture_that_is_impossible_ends_a_complete_order() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.pay(&order).await;
    world.bus().publish(&PaymentFailed(failed(&order, 3, true))).await;
    world.settled().await;
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(CancelReason::PaymentFailed));
    assert!(!stored.occupies && stored.payment.as_ref().unwrap().settled);
    world.order_as(&world.infra.user(), &ticket).await;
}

/// What is newer has overtaken the success: the money is gone, and the late order is not completed.
#[tokio::test]
async fn a_success_that_a_newer_failure_has_overtaken_is_not_answered() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.expire(&order).await;
    world.bus().publish(&PaymentFailed(failed(&order, 3, true))).await;
    world.settled().await;
    let before = world.stored(order.id).await;
    assert_eq!(before.cancel_reason, Some(CancelReason::Expired));
    world.pay(&order).await;
    assert_eq!(world.stored(order.id).await, before);
    assert!(world.refunds_required(&order).await.is_empty());
}

#[tokio::test]
async fn a_failure_settles_the_refund_that_was_required() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.cancel(&order).await;
    world.pay(&order).await;
    assert_eq!(world.refunds_required(&order).await.len(), 1);
    world.bus().publish(&PaymentFailed(failed(&order, 3, true))).await;
    world.settled().await;
    world.a_day_passes().await;
    assert_eq!(world.refunds_required(&order).await.len(), 1, "nothing is owed any more");
}
