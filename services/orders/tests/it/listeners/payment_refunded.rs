//! `payment.refunded`: legal in every state.

use std::time::Duration;

use common::events::{CancelReason, Payment, PaymentCreated, PaymentRefunded, Refund};
use orders::domain::Order;

use crate::world::{World, payment, refund};

async fn publish_refund(world: &World, payment: &Payment) {
    world.bus().publish(&PaymentRefunded(refund(payment))).await;
    world.bus().publish_again(&PaymentRefunded(refund(payment))).await;
    world.settled().await;
}

/// The order is cancelled for this reason, and a late charge doesn't change it any more.
async fn assert_refunded(world: &World, order: &Order, reason: CancelReason) {
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(reason));
    assert!(!stored.active && stored.payment.as_ref().unwrap().refunded);
    let published = world.events_of(order).await;
    assert_eq!(
        published.iter().filter(|(subject, _)| *subject == "cancelled").count(),
        1,
        "{published:?}"
    );

    let refunds = world.refunds_required(order).await;
    world.bus().publish_again(&PaymentCreated(payment(order))).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await, stored);
    assert_eq!(world.events_of(order).await, published);
    assert_eq!(world.refunds_required(order).await, refunds);
}

#[tokio::test]
async fn a_live_order_is_cancelled_as_refunded_and_its_ticket_is_available() {
    let world = World::start().await;
    for state in ["created", "awaiting:payment", "complete"] {
        let ticket = world.ticket().await;
        let order = world.order(&ticket).await;
        match state {
            "awaiting:payment" => world.confirm_lock(&ticket, &order).await,
            "complete" => drop(world.pay(&order).await),
            _ => {}
        }
        assert_eq!(world.seen(&order).await["status"], state);
        publish_refund(&world, &payment(&order)).await;
        assert_refunded(&world, &order, CancelReason::Refunded).await;
        world.order_as(&world.infra.user(), &ticket).await;
    }
}

#[tokio::test]
async fn an_order_that_has_ended_records_the_refund_and_keeps_its_reason() {
    let world = World::start().await;
    let cancelled = world.order(&world.ticket().await).await;
    world.cancel(&cancelled).await;
    publish_refund(&world, &payment(&cancelled)).await;
    assert_refunded(&world, &cancelled, CancelReason::User).await;

    let paid = world.order(&world.ticket().await).await;
    world.cancel(&paid).await;
    let payment = world.pay(&paid).await;
    assert_eq!(world.refunds_required(&paid).await.len(), 1);
    publish_refund(&world, &payment).await;
    assert_refunded(&world, &paid, CancelReason::User).await;

    let expired = world.order(&world.ticket().await).await;
    world.expire(&expired).await;
    publish_refund(&world, &crate::world::payment(&expired)).await;
    assert_refunded(&world, &expired, CancelReason::Expired).await;
}

#[tokio::test]
async fn a_reminder_of_a_refund_that_is_recorded_publishes_the_orders_end_again() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let payment = world.pay(&order).await;
    world.bus().publish(&PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    let stored = world.stored(order.id).await;
    let reminder = Refund { reminder: true, ..refund(&payment) };
    for count in [2, 3] {
        world.infra.clock.advance(Duration::from_secs(10));
        world.bus().publish_again(&PaymentRefunded(reminder.clone())).await;
        world.settled().await;
        let published = world.events_of(&order).await;
        let end = ("cancelled", stored.version);
        assert_eq!(published.into_iter().filter(|event| *event == end).count(), count);
    }
    assert_eq!(world.stored(order.id).await, stored);
}

#[tokio::test]
async fn a_reminder_that_is_the_first_to_arrive_ends_the_order_once() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let payment = world.pay(&order).await;
    let reminder = Refund { reminder: true, ..refund(&payment) };
    world.bus().publish(&PaymentRefunded(reminder)).await;
    world.settled().await;
    assert_refunded(&world, &order, CancelReason::Refunded).await;
}
