//! I4 and I8: what a service has committed was published, and what was published was handled.

use std::collections::{BTreeSet, HashSet};

use common::events::{Stream, Subject};

use super::index::Index;
use super::snapshot::{
    Event, Order, OrderStatus, OutboxEntry, Payment, PaymentStatus, Reservation, Ticket,
};
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    outboxes_are_empty(index, violations);
    for letter in &index.snapshot.dead_letters {
        let (subject, sequence, reason) = (&letter.subject, letter.sequence, &letter.reason);
        violations.add(
            Invariant::NothingDropped,
            format!("{subject} ({sequence}) was dead-lettered: {reason}"),
        );
    }
    for event in &index.snapshot.events {
        was_committed(index, event, violations);
    }
    // Published events are gone. The replicas are compared in any case.
    if index.snapshot.events_were_lost {
        return;
    }
    for user in &index.snapshot.users {
        let events = index.events_of(Stream::Users, &user.id);
        every_version("user", &user.id, user.version, events, 0, violations);
    }
    for ticket in &index.snapshot.tickets {
        ticket_is_published(index, ticket, violations);
    }
    for reservation in &index.snapshot.reservations {
        reservation_is_published(index, reservation, violations);
    }
    let confirmed = confirmed_orders(index);
    for order in &index.snapshot.orders {
        order_is_published(index, order, confirmed.contains(order.id.as_str()), violations);
    }
    for payment in &index.snapshot.payments {
        payment_is_published(index, payment, violations);
    }
}

fn outboxes_are_empty(index: &Index<'_>, violations: &mut Violations) {
    let snapshot = index.snapshot;
    let users = snapshot.users.iter().flat_map(|it| &it.outbox);
    let tickets = snapshot.tickets.iter().flat_map(|it| &it.outbox);
    let reservations = snapshot.reservations.iter().flat_map(|it| &it.outbox);
    let orders = snapshot.orders.iter().flat_map(|it| &it.outbox);
    let payments = snapshot.payments.iter().flat_map(|it| &it.outbox);
    let schedules = snapshot.schedules.iter().flat_map(|it| &it.outbox);
    let market = users.chain(tickets).chain(reservations).chain(orders);
    for OutboxEntry { id } in market.chain(payments).chain(schedules) {
        violations.add(Invariant::NoLostEvent, format!("{id} was not published"));
    }
}

/// Nothing is published that isn't committed: the aggregate exists, at the event's version or a later one.
fn was_committed(index: &Index<'_>, event: &Event, violations: &mut Violations) {
    let (subject, id, version) = (&event.subject, event.aggregate_id(), event.version());
    if event.known_subject().is_none() {
        violations.add(Invariant::NoLostEvent, format!("{subject} is not in the catalogue"));
        return;
    }
    let committed = match event.stream {
        Stream::Users => index.users.get(id).map(|user| user.version),
        Stream::Tickets if event.is(Subject::TicketReserved) => {
            index.reservations.get(id).map(|reservation| reservation.version)
        }
        Stream::Tickets => index.tickets.get(id).map(|ticket| ticket.version),
        Stream::Orders => index.orders.get(id).map(|order| order.version),
        Stream::Expiration => index.schedules.get(id).map(|schedule| schedule.version),
        Stream::Payments => index.payments.get(id).map(|payment| payment.version),
    };
    if committed.is_none_or(|committed| version > committed) {
        violations.add(
            Invariant::NoLostEvent,
            format!("{subject} has version {version} of {id}, which is at {committed:?}"),
        );
    }
}

/// Every version was published by some event, except `unpublished` of them.
fn every_version(
    what: &str,
    id: &str,
    version: i64,
    events: &[&Event],
    unpublished: usize,
    violations: &mut Violations,
) {
    let published: BTreeSet<i64> = events.iter().map(|event| event.version()).collect();
    let missing: Vec<i64> = (1..=version).filter(|version| !published.contains(version)).collect();
    if missing.len() > unpublished {
        violations.add(
            Invariant::NoLostEvent,
            format!("{what} {id} is at version {version}, and no event has {missing:?}"),
        );
    }
}

fn ticket_is_published<'a>(index: &Index<'a>, ticket: &'a Ticket, violations: &mut Violations) {
    let Ticket { id, version, .. } = ticket;
    // Changes of a deleted ticket are not published.
    let unpublished = if ticket.deleted { usize::MAX } else { 0 };
    let events = index.events_of(Stream::Tickets, id);
    every_version("ticket", id, *version, events, unpublished, violations);
    let Some(latest) = index.latest_state(Stream::Tickets, id) else {
        return violations
            .add(Invariant::NoLostEvent, format!("nothing was published about ticket {id}"));
    };
    let same = latest.data["orderId"].as_str() == ticket.order_id.as_deref()
        && latest.data["price"].as_i64() == Some(ticket.price)
        && latest.data["quantity"].as_u64().unwrap_or(1) == ticket.quantity
        && latest.is(Subject::TicketDeleted) == ticket.deleted;
    if !same {
        let Event { subject, data, .. } = latest;
        violations.add(
            Invariant::NoLostEvent,
            format!("ticket {id} differs from its latest event: {subject} {data}"),
        );
    }
}

/// Of a reservation that is live, orders was informed.
fn reservation_is_published<'a>(
    index: &Index<'a>,
    reservation: &'a Reservation,
    violations: &mut Violations,
) {
    let order = &reservation.order_id;
    let events = index.events_of(Stream::Tickets, order);
    let is_owed = reservation.status.is_live();
    if is_owed && !events.iter().any(|event| event.is(Subject::TicketReserved)) {
        violations.add(
            Invariant::NoLostEvent,
            format!("order {order} has a reservation, and no ticket.reserved was published"),
        );
    }
}

/// The orders that have become `awaiting:payment`, which isn't published.
fn confirmed_orders<'a>(index: &Index<'a>) -> HashSet<&'a str> {
    let writes = index.snapshot.oplog.iter().filter(|write| {
        write.namespace == "orders.orders"
            && matches!(write.status, Some(OrderStatus::AwaitingPayment))
    });
    writes.map(|write| write.id.as_str()).collect()
}

fn order_is_published<'a>(
    index: &Index<'a>,
    order: &'a Order,
    is_confirmed: bool,
    violations: &mut Violations,
) {
    let Order { id, version, .. } = order;
    let events = index.events_of(Stream::Orders, id);
    every_version("order", id, *version, events, usize::from(is_confirmed), violations);
    let Some(latest) = index.latest_state(Stream::Orders, id) else {
        return violations
            .add(Invariant::NoLostEvent, format!("nothing was published about order {id}"));
    };
    let status = serde_json::to_value(order.status).unwrap_or_default();
    let is_awaiting = matches!(order.status, OrderStatus::AwaitingPayment);
    let same = (latest.data["status"] == status
        || is_awaiting && latest.data["status"] == "created")
        && latest.data["cancelReason"].as_str() == order.cancel_reason.as_deref()
        && latest.data["places"] == serde_json::json!(order.places)
        && latest.data["occupies"].as_bool() == Some(order.has_places());
    if !same {
        let Event { subject, data, .. } = latest;
        violations.add(
            Invariant::NoLostEvent,
            format!("order {id} differs from its latest event: {subject} {data}"),
        );
    }
    if order.refund_required.is_some()
        && !events.iter().any(|event| event.is(Subject::OrderRefundRequired))
    {
        violations
            .add(Invariant::NoLostEvent, format!("no event requires the refund of order {id}"));
    }
}

fn payment_is_published<'a>(index: &Index<'a>, payment: &'a Payment, violations: &mut Violations) {
    let Some(state) = &payment.state else { return };
    let (order, status) = (&payment.order_id, state.status);
    let events = index.events_of(Stream::Payments, order);
    let required: &[Subject] = match status {
        PaymentStatus::Created
        | PaymentStatus::Processing
        | PaymentStatus::ActionRequired
        | PaymentStatus::Refunding => &[],
        PaymentStatus::Completed => &[Subject::PaymentCaptured],
        PaymentStatus::Authorised => &[Subject::PaymentCreated],
        PaymentStatus::Refunded => &[Subject::PaymentRefunded],
        PaymentStatus::ChargedBack => &[Subject::PaymentCaptured, Subject::PaymentDisputed],
        PaymentStatus::Released => &[Subject::PaymentCreated, Subject::PaymentReleased],
        PaymentStatus::Failed => &[Subject::PaymentFailed],
    };
    for subject in required.iter().filter(|it| !events.iter().any(|event| event.is(**it))) {
        let subject = subject.as_str();
        violations.add(
            Invariant::NoLostEvent,
            format!("the payment of order {order} is {status:?}, and no {subject} was published"),
        );
    }
}
