//! `payment.failed`: only the final decline ends an order.

use common::events::{CancelReason, OrderStatus, PaymentFailed};

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
    assert_eq!(world.events_of(&order).await, [("created", 1), ("updated", 2), ("cancelled", 3)]);
    let next = world.order_as(&world.infra.user(), &ticket).await;
    assert_eq!(next.places, order.places);
}

#[tokio::test]
async fn a_decline_does_not_change_a_paid_or_cancelled_order() {
    let world = World::start().await;
    let paid = world.order(&world.ticket().await).await;
    world.pay(&paid).await;
    let ended = world.order(&world.ticket().await).await;
    world.cancel(&ended).await;
    let before = [world.stored(paid.id).await, world.stored(ended.id).await];
    for order in [&paid, &ended] {
        world.bus().publish(&PaymentFailed(failed(order, 3, true))).await;
    }
    world.settled().await;
    assert_eq!([world.stored(paid.id).await, world.stored(ended.id).await], before);
}
