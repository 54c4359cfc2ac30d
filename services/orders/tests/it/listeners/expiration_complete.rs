//! `expiration.complete`: a courtesy; our own clock ends a hold.

use std::time::Duration;

use common::events::{
    CancelReason, Expiration, ExpirationComplete, OrderCancelled, OrderStatus, Stream,
};
use common::ids::OrderId;
use testkit::eventually;

use crate::world::{RESERVATION, World, expiration};

#[tokio::test]
async fn a_hold_that_has_run_out_is_ended_and_that_is_told_once() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.expire(&order).await;
    let stored = world.stored(order.id).await;
    assert_eq!(stored.status, OrderStatus::Cancelled);
    assert_eq!(stored.cancel_reason, Some(CancelReason::Expired));
    let told = world.bus().wait_for::<OrderCancelled>(|event| event.0.id == order.id).await.0;
    assert_eq!((told.hold, told.cancel_reason), (1, Some(CancelReason::Expired)));
    assert_eq!(world.told(&order).await, [("created", 1), ("cancelled", 2)]);
}

#[tokio::test]
async fn a_timer_that_is_early_is_put_off_until_our_clock_says_so() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.infra.clock.advance(RESERVATION - Duration::from_millis(100));
    world.bus().publish(&expiration(&order)).await;
    eventually("the event to be put off and delivered again", || async {
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
async fn a_stale_timer_of_an_order_that_is_paid_or_over_does_nothing() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let ended = world.order(&ticket).await;
    world.cancel(&ended).await;
    let paid = world.order(&ticket).await;
    world.pay(&paid).await;
    let before = [world.stored(ended.id).await, world.stored(paid.id).await];
    world.let_it_run_out();
    for order in [&ended, &paid] {
        world.time_out(order).await;
    }
    assert_eq!([world.stored(ended.id).await, world.stored(paid.id).await], before);
    assert_eq!(world.told(&paid).await, [("created", 1), ("completed", 2)]);
}

#[tokio::test]
async fn a_stale_timer_of_an_older_order_does_not_free_the_ticket_of_a_newer_one() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let older = world.order(&ticket).await;
    world.let_it_run_out();
    let newer = world.order_as(&world.infra.user(), &ticket).await;
    world.time_out(&older).await;
    assert_eq!(world.app.store.live_order(ticket.id).await.unwrap(), Some(newer));
}

#[tokio::test]
async fn a_timer_of_an_order_that_is_not_there_does_nothing() {
    let world = World::start().await;
    let order_id = OrderId::new(world.infra.clock.now());
    let event = ExpirationComplete(Expiration { order_id, version: 1 });
    world.bus().publish(&event).await;
    world.settled().await;
    assert!(world.bus().dead_letters().await.is_empty());
}
