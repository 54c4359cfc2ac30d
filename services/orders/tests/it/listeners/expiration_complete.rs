//! `expiration.complete`: a reminder; only our own clock ends a reservation.

use std::time::Duration;

use common::events::{
    CancelReason, Expiration, ExpirationComplete, OrderCancelled, OrderStatus, Stream,
};
use common::ids::OrderId;
use testkit::eventually;

use crate::world::{RESERVATION, World, expiration};

#[tokio::test]
async fn an_expired_order_is_cancelled_and_published_once() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.expire(&order).await;
    let stored = world.stored(order.id).await;
    assert_eq!(stored.status, OrderStatus::Cancelled);
    assert_eq!(stored.cancel_reason, Some(CancelReason::Expired));
    let event = world.bus().wait_for::<OrderCancelled>(|event| event.0.id == order.id).await.0;
    assert_eq!((event.occupies, event.cancel_reason), (false, Some(CancelReason::Expired)));
    assert_eq!(world.events_of(&order).await, [("created", 1), ("cancelled", 2)]);
}

#[tokio::test]
async fn an_early_timer_is_retried_when_the_order_expires_by_our_clock() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.infra.clock.advance(RESERVATION - Duration::from_millis(100));
    world.bus().publish(&expiration(&order)).await;
    eventually("the event to be delivered again", || async {
        world.bus().is_redelivered("orders", Stream::Expiration).await.then_some(())
    })
    .await;
    assert_eq!(world.stored(order.id).await, order);

    world.infra.clock.advance(Duration::from_millis(100));
    world.settled().await;
    assert_eq!(world.stored(order.id).await.cancel_reason, Some(CancelReason::Expired));
    assert!(world.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_late_timer_of_a_paid_or_cancelled_order_changes_nothing() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let ended = world.order(&ticket).await;
    world.cancel(&ended).await;
    let paid = world.order(&ticket).await;
    world.pay(&paid).await;
    let before = [world.stored(ended.id).await, world.stored(paid.id).await];
    world.advance_to_expiry();
    for order in [&ended, &paid] {
        world.publish_expiration(order).await;
    }
    assert_eq!([world.stored(ended.id).await, world.stored(paid.id).await], before);
    assert_eq!(world.events_of(&paid).await, [("created", 1), ("completed", 2)]);
}

#[tokio::test]
async fn a_late_timer_of_an_older_order_does_not_release_the_ticket_of_a_newer_one() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let older = world.order(&ticket).await;
    world.advance_to_expiry();
    let newer = world.order_as(&world.infra.user(), &ticket).await;
    world.publish_expiration(&older).await;
    assert_eq!(world.holder(ticket.id).await, Some(newer));
}

#[tokio::test]
async fn a_timer_of_a_missing_order_changes_nothing() {
    let world = World::start().await;
    let order_id = OrderId::new(world.infra.clock.now());
    let event = ExpirationComplete(Expiration { order_id, version: 1 });
    world.bus().publish(&event).await;
    world.settled().await;
    assert!(world.bus().dead_letters().await.is_empty());
}
