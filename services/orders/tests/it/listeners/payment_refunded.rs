//! `payment.refunded`: legal in every state.

use common::events::{CancelReason, Payment, PaymentCreated, PaymentRefunded};
use orders::domain::Order;

use crate::world::{World, payment, refund};

async fn give_back(world: &World, payment: &Payment) {
    world.bus().publish(&PaymentRefunded(refund(payment))).await;
    world.bus().publish_again(&PaymentRefunded(refund(payment))).await;
    world.settled().await;
}

/// It is cancelled for that, the ticket is free, and no late charge changes it any more.
async fn is_refunded(world: &World, order: &Order, reason: CancelReason) {
    let stored = world.stored(order.id).await;
    assert_eq!(stored.cancel_reason, Some(reason));
    assert!(!stored.active && stored.payment.as_ref().unwrap().refunded);
    let told = world.told(order).await;
    assert_eq!(told.iter().filter(|(subject, _)| *subject == "cancelled").count(), 1, "{told:?}");

    let refunds = world.refunds_required(order).await;
    world.bus().publish_again(&PaymentCreated(payment(order))).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await, stored);
    assert_eq!(world.told(order).await, told);
    assert_eq!(world.refunds_required(order).await, refunds);
}

#[tokio::test]
async fn a_live_order_is_cancelled_as_refunded_and_its_ticket_is_free() {
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
        give_back(&world, &payment(&order)).await;
        is_refunded(&world, &order, CancelReason::Refunded).await;
        world.order_as(&world.infra.user(), &ticket).await;
    }
}

#[tokio::test]
async fn an_order_that_has_ended_remembers_it_and_stays_as_it_was() {
    let world = World::start().await;
    let cancelled = world.order(&world.ticket().await).await;
    world.cancel(&cancelled).await;
    give_back(&world, &payment(&cancelled)).await;
    is_refunded(&world, &cancelled, CancelReason::User).await;

    let paid = world.order(&world.ticket().await).await;
    world.cancel(&paid).await;
    let payment = world.pay(&paid).await;
    assert_eq!(world.refunds_required(&paid).await.len(), 1);
    give_back(&world, &payment).await;
    is_refunded(&world, &paid, CancelReason::User).await;

    let expired = world.order(&world.ticket().await).await;
    world.expire(&expired).await;
    give_back(&world, &crate::world::payment(&expired)).await;
    is_refunded(&world, &expired, CancelReason::Expired).await;
}
