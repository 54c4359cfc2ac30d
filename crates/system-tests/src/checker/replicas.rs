//! I6: replicas agree with their originals, and no version ever decreased.

use std::collections::HashMap;

use common::events::Stream;

use super::index::Index;
use super::snapshot::{Event, Order, OrderStatus, ScheduleState, Ticket};
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    ticket_replicas_agree(index, violations);
    for order in &index.snapshot.orders {
        if !index.payments.contains_key(order.id.as_str()) {
            let id = &order.id;
            violations.add(Invariant::NewerWins, format!("payments has no replica of order {id}"));
        }
    }
    order_replicas_agree(index, violations);
    schedules_agree(index, violations);
    versions_only_increase(index, violations);
}

fn ticket_replicas_agree(index: &Index<'_>, violations: &mut Violations) {
    let replicas: HashMap<_, _> =
        index.snapshot.ticket_replicas.iter().map(|ticket| (ticket.id.as_str(), ticket)).collect();
    for ticket in &index.snapshot.tickets {
        let Ticket { id, version, price, deleted, .. } = ticket;
        // Changes of a deleted ticket are not published.
        let published = index.latest_state(Stream::Tickets, id).map(Event::version);
        let newest = if *deleted { published.unwrap_or_default() } else { *version };
        let agrees = replicas.get(id.as_str()).is_some_and(|replica| {
            let lost = *deleted && index.snapshot.events_were_lost && replica.version <= *version;
            (replica.version == newest || lost)
                && (replica.price, replica.deleted) == (*price, *deleted)
        });
        if !agrees {
            let replica = replicas.get(id.as_str());
            violations.add(
                Invariant::NewerWins,
                format!(
                    "ticket {id} is at version {version}, costs {price} cents, deleted: {deleted}; orders has {replica:?}"
                ),
            );
        }
    }
}

/// The state of an order as far as replicas know it: `awaiting:payment` isn't published.
fn phase(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Created | OrderStatus::AwaitingPayment => 0,
        OrderStatus::Complete => 1,
        OrderStatus::Cancelled => 2,
    }
}

fn order_replicas_agree(index: &Index<'_>, violations: &mut Violations) {
    for payment in &index.snapshot.payments {
        let (id, replica) = (&payment.order_id, &payment.order);
        let agrees = index.orders.get(id.as_str()).is_some_and(|order: &&Order| {
            replica.version <= order.version
                && phase(replica.status) == phase(order.status)
                && replica.cancel_reason == order.cancel_reason
                && replica.amount == order.total
        });
        if !agrees {
            let order = index.orders.get(id.as_str());
            let order = order.map(|order| (order.version, order.status, &order.cancel_reason));
            violations.add(
                Invariant::NewerWins,
                format!("payments has order {id} as {replica:?}; it is {order:?}"),
            );
        }
    }
}

fn schedules_agree(index: &Index<'_>, violations: &mut Violations) {
    let schedules = &index.schedules;
    for order in &index.snapshot.orders {
        let id = &order.id;
        let agrees = match schedules.get(id.as_str()).map(|schedule| schedule.state) {
            Some(ScheduleState::Over) => !order.unpaid,
            Some(ScheduleState::Scheduled | ScheduleState::Fired) => order.unpaid,
            None => false,
        };
        if !agrees {
            let (status, schedule) = (order.status, schedules.get(id.as_str()));
            violations.add(
                Invariant::NewerWins,
                format!("order {id} is {status:?}; expiration's schedule is {schedule:?}"),
            );
        }
    }
    for id in schedules.keys().filter(|id| !index.orders.contains_key(**id)) {
        violations.add(
            Invariant::NewerWins,
            format!("expiration has a schedule for order {id}, which doesn't exist"),
        );
    }
}

fn versions_only_increase(index: &Index<'_>, violations: &mut Violations) {
    let mut versions: HashMap<(&str, &str), i64> = HashMap::new();
    for write in &index.snapshot.oplog {
        let Some(version) = write.version else { continue };
        let before = versions.insert((&write.namespace, &write.id), version);
        if let Some(before) = before.filter(|before| *before > version) {
            let (namespace, id) = (&write.namespace, &write.id);
            violations.add(
                Invariant::NewerWins,
                format!("the version of {namespace} {id} decreased from {before} to {version}"),
            );
        }
    }
}
