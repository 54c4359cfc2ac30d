//! I4 and I8: what a service has committed was told, and what was told was handled.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::world::{Event, Order, Payment, PaymentStatus, Ticket, Waiting};
use super::{Breaches, Promise};

/// The events that carry an order's whole state.
const ORDER_STATES: [&str; 4] =
    ["order.created", "order.updated", "order.cancelled", "order.completed"];
/// And a ticket's.
pub(super) const TICKET_STATES: [&str; 3] = ["ticket.created", "ticket.updated", "ticket.deleted"];

pub(super) fn check(facts: &Facts<'_>, breaches: &mut Breaches) {
    outboxes_are_empty(facts, breaches);
    for letter in &facts.world.dead_letters {
        let (subject, sequence, reason) = (&letter.subject, letter.sequence, &letter.reason);
        breaches
            .add(Promise::NothingDropped, format!("{subject} ({sequence}) was given up: {reason}"));
    }
    for event in &facts.world.events {
        tells_what_is(facts, event, breaches);
    }
    // What was told before the store was wiped isn't there any more. What must be the same for all is
    // looked at by the replicas.
    if facts.world.broker_was_wiped {
        return;
    }
    for user in &facts.world.users {
        every_version("user", &user.id, user.version, facts.told("USERS", &user.id), 0, breaches);
    }
    for ticket in &facts.world.tickets {
        ticket_is_told(facts, ticket, breaches);
    }
    for order in &facts.world.orders {
        order_is_told(facts, order, breaches);
    }
    for payment in &facts.world.payments {
        payment_is_told(facts, payment, breaches);
    }
}

fn outboxes_are_empty(facts: &Facts<'_>, breaches: &mut Breaches) {
    let world = facts.world;
    let users = world.users.iter().flat_map(|it| &it.outbox);
    let tickets = world.tickets.iter().flat_map(|it| &it.outbox);
    let orders = world.orders.iter().flat_map(|it| &it.outbox);
    let payments = world.payments.iter().flat_map(|it| &it.outbox);
    let schedules = world.schedules.iter().flat_map(|it| &it.outbox);
    for Waiting { id } in users.chain(tickets).chain(orders).chain(payments).chain(schedules) {
        breaches.add(Promise::NoLostEvent, format!("{id} still waits on its document"));
    }
}

/// Nothing is told that isn't committed: the thing is there, and as far as the event says.
fn tells_what_is(facts: &Facts<'_>, event: &Event, breaches: &mut Breaches) {
    let (subject, id, version) = (&event.subject, event.about(), event.version());
    let stands = match event.stream.as_str() {
        "TICKETS" => facts.tickets.get(id).map(|ticket| ticket.version),
        "ORDERS" => facts.orders.get(id).map(|order| order.version),
        "PAYMENTS" => facts.payments.get(id).map(|payment| payment.version),
        _ => return,
    };
    if stands.is_none_or(|stands| version > stands) {
        breaches.add(
            Promise::NoLostEvent,
            format!("{subject} tells version {version} of {id}, which is at {stands:?}"),
        );
    }
}

/// Each version but `untold` of them was told by some event.
fn every_version(
    what: &str,
    id: &str,
    version: i64,
    told: &[&Event],
    untold: usize,
    breaches: &mut Breaches,
) {
    let told: BTreeSet<i64> = told.iter().map(|event| event.version()).collect();
    let missing: Vec<i64> = (1..=version).filter(|version| !told.contains(version)).collect();
    if missing.len() > untold {
        breaches.add(
            Promise::NoLostEvent,
            format!("of {what} {id}, at version {version}, no event tells {missing:?}"),
        );
    }
}

fn ticket_is_told<'a>(facts: &Facts<'a>, ticket: &'a Ticket, breaches: &mut Breaches) {
    let Ticket { id, version, .. } = ticket;
    // A deleted ticket has nothing to say to orders that end.
    let untold = if ticket.deleted { usize::MAX } else { 0 };
    every_version("ticket", id, *version, facts.told("TICKETS", id), untold, breaches);
    let Some(newest) = facts.newest_told("TICKETS", id, &TICKET_STATES) else {
        return breaches.add(Promise::NoLostEvent, format!("nothing was told of ticket {id}"));
    };
    let same = newest.data["orderId"].as_str() == ticket.order_id.as_deref()
        && newest.data["price"].as_i64() == Some(ticket.price)
        && (newest.subject == "ticket.deleted") == ticket.deleted;
    if !same {
        let Event { subject, data, .. } = newest;
        breaches.add(
            Promise::NoLostEvent,
            format!("ticket {id} is not what was told last: {subject} {data}"),
        );
    }
}

fn order_is_told<'a>(facts: &Facts<'a>, order: &'a Order, breaches: &mut Breaches) {
    let Order { id, version, .. } = order;
    let told = facts.told("ORDERS", id);
    // An order that had ended only remembers that its money was given back.
    let was_over = order.cancel_reason.as_deref() != Some("refunded");
    let remembers = order.payment.as_ref().is_some_and(|payment| payment.refunded) && was_over;
    every_version("order", id, *version, told, usize::from(remembers), breaches);
    let Some(newest) = facts.newest_told("ORDERS", id, &ORDER_STATES) else {
        return breaches.add(Promise::NoLostEvent, format!("nothing was told of order {id}"));
    };
    let status = serde_json::to_value(order.status).unwrap_or_default();
    let same = newest.data["status"] == status
        && newest.data["cancelReason"].as_str() == order.cancel_reason.as_deref()
        && newest.data["hold"].as_i64() == Some(order.hold());
    if !same {
        let Event { subject, data, .. } = newest;
        breaches.add(
            Promise::NoLostEvent,
            format!("order {id} is not what was told last: {subject} {data}"),
        );
    }
    if order.refund_required.is_some()
        && !told.iter().any(|it| it.subject == "order.refund_required")
    {
        breaches.add(Promise::NoLostEvent, format!("nobody was told to refund order {id}"));
    }
}

fn payment_is_told<'a>(facts: &Facts<'a>, payment: &'a Payment, breaches: &mut Breaches) {
    let Some(charge) = &payment.charge else { return };
    let (order, told) = (&payment.order_id, facts.told("PAYMENTS", &payment.order_id));
    let told = |subject: &str| told.iter().any(|event| event.subject == subject);
    let must: &[&str] = match charge.status {
        PaymentStatus::Created | PaymentStatus::Processing => &[],
        PaymentStatus::Completed | PaymentStatus::Refunding => &["payment.created"],
        PaymentStatus::Refunded => &["payment.created", "payment.refunded"],
        PaymentStatus::Failed => &["payment.failed"],
    };
    for subject in must.iter().filter(|subject| !told(subject)) {
        let status = charge.status;
        breaches.add(
            Promise::NoLostEvent,
            format!("the payment of order {order} is {status:?}, and no {subject} was told"),
        );
    }
}
