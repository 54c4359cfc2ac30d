//! `payment.released`: what was authorised isn't captured. The order ends, if it has not ended, and says so.

use std::time::Duration;

use common::events::{
    CancelReason, OrderStatus, OrderUpdated, PaymentCreated, PaymentReleased, ReleasedPayment,
};
use testkit::fixtures;

use crate::world::{World, payment};

#[tokio::test]
async fn the_release_of_a_rejected_payment_settles_it_and_that_is_published() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.cancel(&order).await;
    let paid = world.pay(&order).await;
    assert_eq!(world.refunds_required(&order).await.len(), 1);
    let released = fixtures::released(&paid);
    for _ in 0..2 {
        world.bus().publish_again(&PaymentReleased(released.clone())).await;
        world.settled().await;
    }
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(CancelReason::User));
    assert!(stored.payment.as_ref().unwrap().settled);
    world.published().await;
    let updated = world.bus().published::<OrderUpdated>().await.pop().unwrap().0;
    assert_eq!((updated.id, updated.payment_version), (order.id, Some(released.version)));
    world.a_day_passes().await;
    assert_eq!(world.refunds_required(&order).await.len(), 1, "it is settled");
    // The authorisation comes late, once more.
    world.bus().publish_again(&PaymentCreated(paid)).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await, stored);
}

#[tokio::test]
async fn the_release_of_a_sellers_refund_ends_the_order_with_or_without_its_places() {
    let world = World::start().await;
    for relist in [false, true] {
        let ticket = world.ticket().await;
        let order = world.order(&ticket).await;
        let paid = world.pay(&order).await;
        let released = ReleasedPayment { relist, ..fixtures::released(&paid) };
        world.bus().publish(&PaymentReleased(released)).await;
        world.settled().await;
        let stored = world.stored(order.id).await;
        assert_eq!(
            (stored.status, stored.cancel_reason),
            (OrderStatus::Cancelled, Some(CancelReason::Refunded))
        );
        assert_eq!(stored.occupies, !relist);
    }
}

/// That it was seen was lost on its way: payments asks again.
#[tokio::test]
async fn a_reminder_of_a_release_publishes_the_orders_state_again() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let paid = payment(&order);
    world.bus().publish(&PaymentReleased(fixtures::released(&paid))).await;
    world.settled().await;
    let stored = world.stored(order.id).await;
    let reminder = ReleasedPayment { reminder: true, ..fixtures::released(&paid) };
    for count in [2, 3] {
        world.infra.clock.advance(Duration::from_secs(10));
        world.bus().publish_again(&PaymentReleased(reminder.clone())).await;
        world.settled().await;
        let published = world.events_of(&order).await;
        let end = ("cancelled", stored.version);
        assert_eq!(published.into_iter().filter(|event| *event == end).count(), count);
    }
}
