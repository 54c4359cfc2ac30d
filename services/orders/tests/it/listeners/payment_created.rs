//! `payment.created`: the order completes, or requires a refund. Each charge is answered once.

use std::time::Duration;

use common::Money;
use common::events::{
    CancelReason, OrderCompleted, OrderStatus, Payment, PaymentCreated, PaymentFailed,
    PaymentRefunded, RefundReason, Ticket, TicketDeleted, TicketUpdated,
};
use orders::domain::{Answer, Order};
use orders::listeners::answer_all;
use testkit::eventually;
use testkit::fixtures::{FailedPaymentChanges as _, TicketChanges as _};

use crate::world::{World, failed, path, payment, refund};

/// The order is complete, is published once, and stays so when the charge is delivered again.
async fn assert_complete(world: &World, order: &Order) {
    let stored = world.stored(order.id).await;
    assert_eq!((stored.status, stored.cancel_reason), (OrderStatus::Complete, None));
    assert!(stored.occupies && !stored.unpaid);
    assert_eq!(stored.payment.as_ref().unwrap().answer, Some(Answer::Completed));
    world.published().await;
    let events = world.bus().published::<OrderCompleted>().await.into_iter();
    let events: Vec<_> = events.filter(|event| event.0.id == order.id).collect();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0].0.places, events[0].0.version), (&stored.places, stored.version));
    assert_eq!(events[0].0.status, OrderStatus::Complete);
    assert!(world.refunds_required(order).await.is_empty());
    assert_final(world, order, &stored).await;
}

/// The order has ended, and required its refund once, also when the charge is delivered again.
async fn assert_refund_required(
    world: &World,
    order: &Order,
    reason: CancelReason,
    why: RefundReason,
) {
    let stored = world.stored(order.id).await;
    assert_eq!((stored.status, stored.cancel_reason), (OrderStatus::Cancelled, Some(reason)));
    assert_eq!(stored.refund_required, Some(why));
    assert!(!stored.occupies);
    let payment = stored.payment.as_ref().unwrap();
    assert_eq!(payment.answer, Some(Answer::RefundRequired));
    let refunds = world.refunds_required(order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!((refunds[0].why, refunds[0].payment_id), (why, payment.id));
    assert_eq!(refunds[0].version, stored.version);
    assert_final(world, order, &stored).await;
}

async fn assert_final(world: &World, order: &Order, stored: &Order) {
    let published = world.events_of(order).await;
    let newer = common::events::Payment { version: 9, ..payment(order) };
    for event in [payment(order), newer] {
        world.bus().publish_again(&PaymentCreated(event)).await;
        world.settled().await;
        assert_eq!(&world.stored(order.id).await, stored);
    }
    assert_eq!(world.events_of(order).await, published);
}

#[tokio::test]
async fn a_charge_completes_the_order_also_when_it_overtakes_the_confirmation() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.pay(&order).await;
    assert_complete(&world, &order).await;
    assert_eq!(world.events_of(&order).await, [("created", 1), ("completed", 2)]);

    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_reserved(&order).await;
    world.pay(&order).await;
    assert_complete(&world, &order).await;
    assert_eq!(world.events_of(&order).await, [("created", 1), ("completed", 3)]);
}

#[tokio::test]
async fn a_charge_for_an_order_that_was_cancelled_is_refunded() {
    let world = World::start().await;
    let cancelled = world.order(&world.ticket().await).await;
    world.cancel(&cancelled).await;
    let declined = world.order(&world.ticket().await).await;
    // Before a late success of another attempt.
    world.bus().publish(&PaymentFailed(failed(&declined, 3, true).with_version(2))).await;
    let deleted = world.order(&world.ticket().await).await;
    let mut ticket = world.unpublished_ticket();
    (ticket.id, ticket.version) = (deleted.ticket_id, 2);
    world.bus().publish(&TicketDeleted(ticket)).await;
    world.settled().await;
    for (order, reason) in [
        (cancelled, CancelReason::User),
        (declined, CancelReason::PaymentFailed),
        (deleted, CancelReason::TicketDeleted),
    ] {
        world.pay(&order).await;
        assert_refund_required(&world, &order, reason, RefundReason::OrderCancelled).await;
    }
}

#[tokio::test]
async fn a_ticket_is_paid_a_second_too_late() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.expire(&order).await;
    world.pay(&order).await;
    // The ticket is still available: the buyer gets it.
    assert_complete(&world, &order).await;
    assert_eq!(world.events_of(&order).await, [("created", 1), ("cancelled", 2), ("completed", 3)]);
    world.try_to_order(&world.infra.user(), ticket.id).await.problem(409, "ticket-sold");
}

#[tokio::test]
async fn an_expired_order_that_is_not_recorded_as_such_completes() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.advance_to_expiry();
    assert_eq!(world.seen(&order).await["status"], "cancelled");
    world.pay(&order).await;
    assert_complete(&world, &order).await;
    assert_eq!(world.seen(&order).await["status"], "complete");
}

#[tokio::test]
async fn a_ticket_that_another_buyer_has_by_now_stays_theirs() {
    let world = World::start().await;
    for sold in [false, true] {
        let ticket = world.ticket().await;
        let late = world.order(&ticket).await;
        world.advance_to_expiry();
        let other = world.order_as(&world.infra.user(), &ticket).await;
        if sold {
            world.pay(&other).await;
        }
        let before = world.stored(other.id).await;
        world.pay(&late).await;
        assert_refund_required(&world, &late, CancelReason::Expired, RefundReason::TooLate).await;
        assert_eq!(world.stored(other.id).await, before);
    }
}

#[tokio::test]
async fn a_ticket_that_others_reserved_and_cancelled_is_retaken() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let late = world.order(&ticket).await;
    world.advance_to_expiry();
    for _ in 0..2 {
        let other = world.order(&ticket).await;
        world.cancel(&other).await;
    }
    world.pay(&late).await;
    assert_complete(&world, &late).await;

    world.bus().publish(&PaymentRefunded(refund(&payment(&late)))).await;
    world.settled().await;
    world.order(&ticket).await;
}

#[tokio::test]
async fn a_ticket_that_is_deleted_or_has_another_price_by_now_is_not_retaken() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let late = world.order(&ticket).await;
    world.expire(&late).await;
    world.bus().publish(&TicketDeleted(ticket.with_version(2))).await;
    world.settled().await;
    world.pay(&late).await;
    assert_refund_required(&world, &late, CancelReason::Expired, RefundReason::TooLate).await;

    let dearer = |ticket: &mut Ticket| ticket.listing.price = Money::from_minor(2051);
    let cheaper = |ticket: &mut Ticket| ticket.listing.price = Money::from_minor(2049);
    let foreign = |ticket: &mut Ticket| ticket.listing.currency = "eur".parse().unwrap();
    let changes: [&dyn Fn(&mut Ticket); 3] = [&dearer, &cheaper, &foreign];
    for change in changes {
        let mut ticket = world.ticket().await;
        let late = world.order(&ticket).await;
        world.expire(&late).await;
        ticket.version = 2;
        change(&mut ticket);
        world.bus().publish(&TicketUpdated(ticket.clone())).await;
        world.settled().await;
        world.pay(&late).await;
        assert_refund_required(&world, &late, CancelReason::Expired, RefundReason::TooLate).await;
        world.order_as(&world.infra.user(), &ticket).await;
    }
}

/// The database was restored from a back-up that is older than the order.
#[tokio::test]
async fn an_orphaned_charge_is_refunded_once() {
    let world = World::start().await;
    let missing: Vec<_> = futures::future::join_all((0..3).map(async |_| {
        let order = world.order(&world.ticket().await).await;
        world.published().await;
        order
    }))
    .await;
    let orders = world.app.store.documents().collection();
    orders.delete_many(bson::doc! {}).await.unwrap();
    for order in &missing {
        let charge = PaymentCreated(payment(order));
        futures::future::join_all((0..4).map(|_| world.bus().publish_again(&charge))).await;
        world.settled().await;
        let why = RefundReason::OrderCancelled;
        assert_refund_required(&world, order, CancelReason::Refunded, why).await;
        world.client(&world.buyer).get(&path(order)).await.problem(403, "not-allowed");

        world.bus().publish(&PaymentRefunded(refund(&payment(order)))).await;
        world.settled().await;
        assert!(world.stored(order.id).await.payment.unwrap().settled);
    }
    assert!(world.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn of_a_late_payment_and_a_concurrent_buyer_exactly_one_gets_the_ticket() {
    let world = World::start().await;
    for _ in 0..20 {
        let ticket = world.ticket().await;
        let late = world.order(&ticket).await;
        world.expire(&late).await;
        let other = world.infra.user();
        let charge = PaymentCreated(payment(&late));
        let (response, ()) =
            tokio::join!(world.try_to_order(&other, ticket.id), world.bus().publish(&charge));
        world.settled().await;
        let holder = world.holder(ticket.id).await.unwrap();
        match response.status.as_u16() {
            201 => {
                assert_eq!(holder.user_id, other.id);
                let why = RefundReason::TooLate;
                assert_refund_required(&world, &late, CancelReason::Expired, why).await;
            }
            409 => {
                assert_eq!(holder.id, late.id);
                assert_complete(&world, &late).await;
            }
            status => panic!("{status}: {response:?}"),
        }
    }
}

#[tokio::test]
async fn a_reminder_of_an_answered_charge_publishes_the_answer_again() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    let paid = world.pay(&order).await;
    let stored = world.stored(order.id).await;
    let reminder = common::events::Payment { reminder: true, ..paid };
    world.bus().publish_again(&PaymentCreated(reminder)).await;
    world.settled().await;
    assert_eq!(world.stored(order.id).await, stored);
    let completed = ("completed", stored.version);
    let published = world.events_of(&order).await;
    assert_eq!(published.into_iter().filter(|event| *event == completed).count(), 2);
}

#[tokio::test]
async fn a_required_refund_is_published_again_until_it_is_refunded() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.cancel(&order).await;
    let payment = world.pay(&order).await;
    assert_eq!(world.refunds_required(&order).await.len(), 1);
    let published = |count: usize| {
        let (world, order) = (&world, &order);
        eventually("the required refund to be published again", move || async move {
            (world.refunds_required(order).await.len() == count).then_some(())
        })
    };
    world.infra.clock.advance(Duration::from_secs(10));
    published(2).await;
    world.infra.clock.advance(Duration::from_secs(20));
    published(3).await;
    world.bus().publish(&PaymentRefunded(refund(&payment))).await;
    world.settled().await;
    world.a_day_passes().await;
    assert_eq!(world.refunds_required(&order).await.len(), 3);
}

#[tokio::test]
async fn several_payments_are_answered_together_as_each_is_alone() {
    let world = World::start().await;
    let ticket = world.listing_of(10).await;
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(world.order_as(&world.infra.user(), &ticket).await);
    }
    let cancelled = world.order(&ticket).await;
    world.cancel(&cancelled).await;
    orders.push(cancelled);
    let payments: Vec<Payment> = orders.iter().map(payment).collect();
    // Twice, and with what follows.
    let captured = payments.iter().map(|it| Payment { version: it.version + 2, ..it.clone() });
    let batches = [payments[..3].to_vec(), payments.clone(), captured.collect()];
    for batch in batches {
        answer_all(world.app.clone(), batch).await.unwrap();
    }
    for order in &orders[..4] {
        assert_complete(&world, order).await;
        assert_eq!(world.events_of(order).await, [("created", 1), ("completed", 2)]);
    }
    assert_eq!(world.refunds_required(&orders[4]).await.len(), 1);
}
