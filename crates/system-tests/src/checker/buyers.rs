//! I1: a ticket never has two live orders at the same time, neither now nor at any earlier time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use common::events::Stream;

use super::index::Index;
use super::snapshot::Order;
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    for (ticket, orders) in &index.orders_of {
        now(ticket, orders, violations);
        holds(ticket, orders, violations);
    }
    published_holds(index, violations);
    at_any_time(index, violations);
}

fn now(ticket: &str, orders: &[&Order], violations: &mut Violations) {
    let live: Vec<_> = orders.iter().filter(|order| order.status.is_live()).collect();
    if live.len() > 1 {
        let ids = live.iter().map(|order| order.id.as_str()).collect::<Vec<_>>().join(" and ");
        violations.add(Invariant::OneBuyer, format!("ticket {ticket} has two live orders, {ids}"));
    }
    for order in orders.iter().filter(|order| order.active != order.status.is_live()) {
        let (id, status) = (&order.id, order.status);
        violations.add(
            Invariant::OneBuyer,
            format!("order {id} is {status:?}, which its flag for the unique index contradicts"),
        );
    }
    let newest = orders.iter().map(|order| order.hold()).max();
    for order in live.iter().filter(|order| Some(order.hold()) < newest) {
        let (id, hold) = (&order.id, order.hold());
        violations.add(
            Invariant::OneBuyer,
            format!(
                "order {id} of ticket {ticket} is live under hold {hold}, although there was a newer hold"
            ),
        );
    }
}

/// Each hold number belongs to one order, and those of an order increase.
fn holds(ticket: &str, orders: &[&Order], violations: &mut Violations) {
    let mut owners: BTreeMap<i64, &str> = BTreeMap::new();
    for order in orders {
        if !order.holds.is_sorted_by(|earlier, later| earlier < later) {
            let (id, holds) = (&order.id, &order.holds);
            violations.add(
                Invariant::OneBuyer,
                format!("the holds of order {id} don't increase: {holds:?}"),
            );
        }
        for hold in &order.holds {
            if let Some(other) = owners.insert(*hold, &order.id)
                && other != order.id
            {
                let id = &order.id;
                violations.add(
                    Invariant::OneBuyer,
                    format!(
                        "hold {hold} of ticket {ticket} was assigned twice, to {other} and to {id}"
                    ),
                );
            }
        }
    }
}

/// The same for published events: a number that was published for two orders was assigned twice, whatever the documents
/// contain now.
fn published_holds(index: &Index<'_>, violations: &mut Violations) {
    let mut published: BTreeMap<(&str, i64), BTreeSet<&str>> = BTreeMap::new();
    for event in index.snapshot.events.iter().filter(|event| event.stream == Stream::Orders) {
        let (ticket, hold) = (event.data["ticket"]["id"].as_str(), event.data["hold"].as_i64());
        if let (Some(ticket), Some(hold)) = (ticket, hold) {
            published.entry((ticket, hold)).or_default().insert(event.aggregate_id());
        }
    }
    for ((ticket, hold), orders) in published.iter().filter(|(_, orders)| orders.len() > 1) {
        let orders = orders.iter().copied().collect::<Vec<_>>().join(" and ");
        violations.add(
            Invariant::OneBuyer,
            format!("hold {hold} of ticket {ticket} was published for two orders, {orders}"),
        );
    }
}

/// Replays all writes to orders, in the order of MongoDB's oplog.
fn at_any_time(index: &Index<'_>, violations: &mut Violations) {
    let mut ticket_of: HashMap<&str, &str> = HashMap::new();
    let mut live: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for write in index.snapshot.oplog.iter().filter(|write| write.namespace == "orders.orders") {
        if let Some(ticket) = &write.ticket_id {
            ticket_of.insert(&write.id, ticket);
        }
        let Some((active, ticket)) = write.active.zip(ticket_of.get(write.id.as_str())) else {
            continue;
        };
        let live = live.entry(ticket).or_default();
        if !active {
            live.remove(write.id.as_str());
        } else if live.insert(&write.id) && live.len() > 1 {
            let orders = live.iter().copied().collect::<Vec<_>>().join(" and ");
            violations.add(
                Invariant::OneBuyer,
                format!("ticket {ticket} had two live orders at the same time, {orders}"),
            );
        }
    }
}
