//! `payment.refunded`: legal in every state.

use common::events::{CancelReason, Payment, PaymentCreated, PaymentRefunded};
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
    assert!(!stored.occupies && stored.payment.as_ref().unwrap().refunded);
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
            "awaiting:payment" => world.confirm_reserved(&order).await,
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
