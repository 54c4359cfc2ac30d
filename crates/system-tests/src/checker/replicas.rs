//! I6: what the services know of each other's things agrees, and no version ever went back.

use std::collections::HashMap;

use super::events::TICKET_STATES;
use super::facts::Facts;
use super::world::{Event, Order, OrderStatus, ScheduleState, Ticket};
use super::{Breaches, Promise};

pub(super) fn check(facts: &Facts<'_>, breaches: &mut Breaches) {
    for ticket in &facts.world.tickets {
        lock_agrees(facts, ticket, breaches);
    }
    known_tickets_agree(facts, breaches);
    for order in &facts.world.orders {
        if !facts.payments.contains_key(order.id.as_str()) {
            let id = &order.id;
            breaches.add(Promise::NewerWins, format!("payments doesn't know order {id}"));
        }
    }
    known_orders_agree(facts, breaches);
    schedules_agree(facts, breaches);
    versions_only_grow(facts, breaches);
}

/// A ticket is in the hands that its newest order says.
fn lock_agrees(facts: &Facts<'_>, ticket: &Ticket, breaches: &mut Breaches) {
    let orders = facts.orders_of.get(ticket.id.as_str()).map_or(&[][..], Vec::as_slice);
    let newest = orders.iter().max_by_key(|order| order.hold());
    let hold = newest.map_or(0, |order| order.hold());
    let (holder, sold) = match newest.map(|order| (order, order.status)) {
        Some((order, OrderStatus::Complete)) => (Some(order.id.as_str()), true),
        Some((order, OrderStatus::Created | OrderStatus::AwaitingPayment)) => {
            (Some(order.id.as_str()), false)
        }
        Some((_, OrderStatus::Cancelled)) | None => (None, false),
    };
    let said = (ticket.order_id.as_deref(), ticket.sold, ticket.hold);
    if said != (holder, sold, hold) {
        let id = &ticket.id;
        breaches.add(
            Promise::NewerWins,
            format!(
                "ticket {id} has (order, sold, hold) {said:?}; orders says {:?}",
                (holder, sold, hold)
            ),
        );
    }
}

fn known_tickets_agree(facts: &Facts<'_>, breaches: &mut Breaches) {
    let known: HashMap<_, _> =
        facts.world.known_tickets.iter().map(|ticket| (ticket.id.as_str(), ticket)).collect();
    for ticket in &facts.world.tickets {
        let Ticket { id, version, price, deleted, .. } = ticket;
        // What a deleted ticket hears of orders that end, it keeps to itself.
        let told = facts.newest_told("TICKETS", id, &TICKET_STATES).map(Event::version);
        let newest = if *deleted { told.unwrap_or_default() } else { *version };
        let agrees = known.get(id.as_str()).is_some_and(|known| {
            let wiped = *deleted && facts.world.broker_was_wiped && known.version <= *version;
            (known.version == newest || wiped) && (known.price, known.deleted) == (*price, *deleted)
        });
        if !agrees {
            let known = known.get(id.as_str());
            breaches.add(
                Promise::NewerWins,
                format!(
                    "ticket {id} is at version {version}, costs {price} cents, deleted: {deleted}; orders knows {known:?}"
                ),
            );
        }
    }
}

/// Which of its states an order is in, to those who aren't told of `awaiting:payment`.
fn coarse(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Created | OrderStatus::AwaitingPayment => 0,
        OrderStatus::Complete => 1,
        OrderStatus::Cancelled => 2,
    }
}

fn known_orders_agree(facts: &Facts<'_>, breaches: &mut Breaches) {
    for payment in &facts.world.payments {
        let (id, known) = (&payment.order_id, &payment.order);
        let agrees = facts.orders.get(id.as_str()).is_some_and(|order: &&Order| {
            known.version <= order.version
                && coarse(known.status) == coarse(order.status)
                && known.cancel_reason == order.cancel_reason
                && known.amount == order.ticket.price
        });
        if !agrees {
            let order = facts.orders.get(id.as_str());
            let order = order.map(|order| (order.version, order.status, &order.cancel_reason));
            breaches.add(
                Promise::NewerWins,
                format!("payments knows order {id} as {known:?}; it is {order:?}"),
            );
        }
    }
}

fn schedules_agree(facts: &Facts<'_>, breaches: &mut Breaches) {
    let schedules: HashMap<_, _> = facts
        .world
        .schedules
        .iter()
        .map(|schedule| (schedule.order_id.as_str(), schedule))
        .collect();
    for order in &facts.world.orders {
        let id = &order.id;
        let agrees = match schedules.get(id.as_str()).map(|schedule| schedule.state) {
            Some(ScheduleState::Over) => !order.unpaid,
            Some(ScheduleState::Scheduled | ScheduleState::Fired) => order.unpaid,
            None => false,
        };
        if !agrees {
            let (status, schedule) = (order.status, schedules.get(id.as_str()));
            breaches.add(
                Promise::NewerWins,
                format!("order {id} is {status:?}; expiration's schedule is {schedule:?}"),
            );
        }
    }
    for id in schedules.keys().filter(|id| !facts.orders.contains_key(**id)) {
        breaches.add(
            Promise::NewerWins,
            format!("expiration has a schedule for order {id}, which doesn't exist"),
        );
    }
}

fn versions_only_grow(facts: &Facts<'_>, breaches: &mut Breaches) {
    let mut versions: HashMap<(&str, &str), i64> = HashMap::new();
    for write in &facts.world.writes {
        let Some(version) = write.version else { continue };
        let before = versions.insert((&write.namespace, &write.id), version);
        if let Some(before) = before.filter(|before| *before > version) {
            let (namespace, id) = (&write.namespace, &write.id);
            breaches.add(
                Promise::NewerWins,
                format!("{namespace} {id} went back from version {before} to {version}"),
            );
        }
    }
}
