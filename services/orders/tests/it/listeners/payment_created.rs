//! `payment.created`: an order is bought, or what was paid for it is given back. A charge is answered once.

use common::Money;
use common::events::{
    CancelReason, OrderCompleted, OrderStatus, PaymentCreated, PaymentFailed, PaymentRefunded,
    RefundReason, Ticket, TicketDeleted, TicketUpdated,
};
use orders::domain::{Answer, Order};
use testkit::fixtures::TicketChanges as _;

use crate::world::{World, failed, path, payment, refund};

/// The order is complete under this hold, which is told once, and stays so when the charge is told again.
async fn is_bought(world: &World, order: &Order, hold: i64) {
    let stored = world.stored(order.id).await;
    assert_eq!((stored.status, stored.cancel_reason), (OrderStatus::Complete, None));
    assert!(stored.active && !stored.unpaid);
    assert_eq!(stored.hold(), hold);
    assert_eq!(stored.payment.as_ref().unwrap().answer, Some(Answer::Completed));
    world.published().await;
    let told = world.bus().published::<OrderCompleted>().await.into_iter();
    let told: Vec<_> = told.filter(|event| event.0.id == order.id).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.hold, told[0].0.version), (hold, stored.version));
    assert_eq!(told[0].0.status, OrderStatus::Complete);
    assert!(world.refunds_required(order).await.is_empty());
    is_final(world, order, &stored).await;
}

/// The order has ended, and its refund was asked for once, also when the charge is told again.
async fn is_to_be_refunded(world: &World, order: &Order, reason: CancelReason, why: RefundReason) {
    let stored = world.stored(order.id).await;
    assert_eq!((stored.status, stored.cancel_reason), (OrderStatus::Cancelled, Some(reason)));
    assert_eq!(stored.refund_required, Some(why));
    assert!(!stored.active);
    let payment = stored.payment.as_ref().unwrap();
    assert_eq!(payment.answer, Some(Answer::RefundRequired));
    let refunds = world.refunds_required(order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!((refunds[0].why, refunds[0].payment_id), (why, payment.id));
    assert_eq!(refunds[0].version, stored.version);
    is_final(world, order, &stored).await;
}

async fn is_final(world: &World, order: &Order, stored: &Order) {
    let told = world.told(order).await;
    let newer = common::events::Payment { version: 9, ..payment(order) };
    for event in [payment(order), newer] {
        world.bus().publish_again(&PaymentCreated(event)).await;
        world.settled().await;
        assert_eq!(&world.stored(order.id).await, stored);
    }
    assert_eq!(world.told(order).await, told);
}

#[tokio::test]
async fn a_charge_completes_the_order_also_when_it_overtakes_the_lock() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.pay(&order).await;
    is_bought(&world, &order, 1).await;
    assert_eq!(world.told(&order).await, [("created", 1), ("completed", 2)]);

    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.confirm_lock(&ticket, &order).await;
    world.pay(&order).await;
    is_bought(&world, &order, 1).await;
    assert_eq!(world.told(&order).await, [("created", 1), ("updated", 2), ("completed", 3)]);
}

#[tokio::test]
async fn what_was_paid_for_an_order_that_someone_has_ended_is_given_back() {
    let world = World::start().await;
    let given_up = world.order(&world.ticket().await).await;
    world.cancel(&given_up).await;
    let declined = world.order(&world.ticket().await).await;
    world.bus().publish(&PaymentFailed(failed(&declined, 2, true))).await;
    let deleted = world.order(&world.ticket().await).await;
    let mut ticket = world.unheard_ticket();
    (ticket.id, ticket.version) = (deleted.ticket_id, 2);
    world.bus().publish(&TicketDeleted(ticket)).await;
    world.settled().await;
    for (order, reason) in [
        (given_up, CancelReason::User),
        (declined, CancelReason::PaymentFailed),
        (deleted, CancelReason::TicketDeleted),
    ] {
        world.pay(&order).await;
        is_to_be_refunded(&world, &order, reason, RefundReason::OrderCancelled).await;
    }
}

#[tokio::test]
async fn a_ticket_is_paid_a_second_too_late() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let order = world.order(&ticket).await;
    world.expire(&order).await;
    world.pay(&order).await;
    // It is still free: the buyer gets it, under a new hold.
    is_bought(&world, &order, 2).await;
    assert_eq!(world.stored(order.id).await.holds, [1, 2]);
    assert_eq!(world.told(&order).await, [("created", 1), ("cancelled", 2), ("completed", 3)]);
    world.try_to_order(&world.infra.user(), ticket.id).await.problem(409, "ticket-sold");
}

#[tokio::test]
async fn an_order_whose_end_nobody_has_written_completes_under_its_own_hold() {
    let world = World::start().await;
    let order = world.order(&world.ticket().await).await;
    world.let_it_run_out();
    assert_eq!(world.seen(&order).await["status"], "cancelled");
    world.pay(&order).await;
    is_bought(&world, &order, 1).await;
    assert_eq!(world.seen(&order).await["status"], "complete");
}

#[tokio::test]
async fn a_ticket_that_someone_else_has_by_now_stays_theirs() {
    let world = World::start().await;
    for sold in [false, true] {
        let ticket = world.ticket().await;
        let late = world.order(&ticket).await;
        world.let_it_run_out();
        let other = world.order_as(&world.infra.user(), &ticket).await;
        assert_eq!(other.holds, [2]);
        if sold {
            world.pay(&other).await;
        }
        let before = world.stored(other.id).await;
        world.pay(&late).await;
        is_to_be_refunded(&world, &late, CancelReason::Expired, RefundReason::TooLate).await;
        assert_eq!(world.stored(other.id).await, before);
    }
}

#[tokio::test]
async fn a_ticket_that_others_have_had_and_left_is_taken_back_under_a_hold_above_theirs() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let late = world.order(&ticket).await;
    world.let_it_run_out();
    for hold in [2, 3] {
        let other = world.order(&ticket).await;
        assert_eq!(other.holds, [hold]);
        world.cancel(&other).await;
    }
    world.pay(&late).await;
    is_bought(&world, &late, 4).await;

    world.bus().publish(&PaymentRefunded(refund(&payment(&late)))).await;
    world.settled().await;
    assert_eq!(world.order(&ticket).await.holds, [5]);
}

#[tokio::test]
async fn a_ticket_that_is_deleted_or_costs_something_else_by_now_is_not_taken_back() {
    let world = World::start().await;
    let ticket = world.ticket().await;
    let late = world.order(&ticket).await;
    world.expire(&late).await;
    world.bus().publish(&TicketDeleted(ticket.with_version(2))).await;
    world.settled().await;
    world.pay(&late).await;
    is_to_be_refunded(&world, &late, CancelReason::Expired, RefundReason::TooLate).await;

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
        is_to_be_refunded(&world, &late, CancelReason::Expired, RefundReason::TooLate).await;
        world.order_as(&world.infra.user(), &ticket).await;
    }
}

/// A database that was restored from before the order.
#[tokio::test]
async fn what_was_paid_for_an_order_that_is_lost_is_given_back_once() {
    let world = World::start().await;
    let lost: Vec<_> = futures::future::join_all((0..3).map(async |_| {
        let order = world.order(&world.ticket().await).await;
        world.published().await;
        order
    }))
    .await;
    let orders = world.app.store.documents().collection();
    orders.delete_many(bson::doc! {}).await.unwrap();
    for order in &lost {
        let charge = PaymentCreated(payment(order));
        futures::future::join_all((0..4).map(|_| world.bus().publish_again(&charge))).await;
        world.settled().await;
        let why = RefundReason::OrderCancelled;
        is_to_be_refunded(&world, order, CancelReason::Refunded, why).await;
        world.client(&world.buyer).get(&path(order)).await.problem(403, "not-allowed");

        world.bus().publish(&PaymentRefunded(refund(&payment(order)))).await;
        world.settled().await;
        assert!(world.stored(order.id).await.payment.unwrap().refunded);
    }
    assert!(world.bus().dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_late_payment_and_the_next_buyer_at_once_end_with_one_of_them_having_the_ticket() {
    let world = World::start().await;
    for _ in 0..20 {
        let ticket = world.ticket().await;
        let late = world.order(&ticket).await;
        world.expire(&late).await;
        let other = world.infra.user();
        let charge = PaymentCreated(payment(&late));
        let (answer, ()) =
            tokio::join!(world.try_to_order(&other, ticket.id), world.bus().publish(&charge));
        world.settled().await;
        let holder = world.app.store.live_order(ticket.id).await.unwrap().unwrap();
        match answer.status.as_u16() {
            201 => {
                assert_eq!(holder.user_id, other.id);
                let why = RefundReason::TooLate;
                is_to_be_refunded(&world, &late, CancelReason::Expired, why).await;
            }
            409 => {
                assert_eq!(holder.id, late.id);
                is_bought(&world, &late, 2).await;
            }
            status => panic!("{status}: {answer:?}"),
        }
    }
}
