//! I1: a ticket never has two live orders at once, neither now nor at any moment before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::facts::Facts;
use super::world::Order;
use super::{Breaches, Promise};

pub(super) fn check(facts: &Facts<'_>, breaches: &mut Breaches) {
    for (ticket, orders) in &facts.orders_of {
        now(ticket, orders, breaches);
        holds(ticket, orders, breaches);
    }
    holds_told(facts, breaches);
    ever(facts, breaches);
}

fn now(ticket: &str, orders: &[&Order], breaches: &mut Breaches) {
    let live: Vec<_> = orders.iter().filter(|order| order.status.is_live()).collect();
    if live.len() > 1 {
        let ids = live.iter().map(|order| order.id.as_str()).collect::<Vec<_>>().join(" and ");
        breaches.add(Promise::OneBuyer, format!("ticket {ticket} has two live orders, {ids}"));
    }
    for order in orders.iter().filter(|order| order.active != order.status.is_live()) {
        let (id, status) = (&order.id, order.status);
        breaches.add(
            Promise::OneBuyer,
            format!(
                "order {id} is {status:?}, and the index on live orders takes it for the other"
            ),
        );
    }
    let newest = orders.iter().map(|order| order.hold()).max();
    for order in live.iter().filter(|order| Some(order.hold()) < newest) {
        let (id, hold) = (&order.id, order.hold());
        breaches.add(
            Promise::OneBuyer,
            format!(
                "order {id} of ticket {ticket} is live under hold {hold}, and there was a newer one"
            ),
        );
    }
}

/// Each number is had once, and an order's own ones grow.
fn holds(ticket: &str, orders: &[&Order], breaches: &mut Breaches) {
    let mut had: BTreeMap<i64, &str> = BTreeMap::new();
    for order in orders {
        if !order.holds.is_sorted_by(|earlier, later| earlier < later) {
            let (id, holds) = (&order.id, &order.holds);
            breaches
                .add(Promise::OneBuyer, format!("the holds of order {id} don't grow: {holds:?}"));
        }
        for hold in &order.holds {
            if let Some(other) = had.insert(*hold, &order.id)
                && other != order.id
            {
                let id = &order.id;
                breaches.add(
                    Promise::OneBuyer,
                    format!(
                        "hold {hold} of ticket {ticket} was given twice, to {other} and to {id}"
                    ),
                );
            }
        }
    }
}

/// The same for what was told: a number that was told of two orders was given twice, whatever the
/// documents say now.
fn holds_told(facts: &Facts<'_>, breaches: &mut Breaches) {
    let mut told: BTreeMap<(&str, i64), BTreeSet<&str>> = BTreeMap::new();
    for event in facts.world.events.iter().filter(|event| event.stream == "ORDERS") {
        let (ticket, hold) = (event.data["ticket"]["id"].as_str(), event.data["hold"].as_i64());
        if let (Some(ticket), Some(hold)) = (ticket, hold) {
            told.entry((ticket, hold)).or_default().insert(event.about());
        }
    }
    for ((ticket, hold), orders) in told.iter().filter(|(_, orders)| orders.len() > 1) {
        let orders = orders.iter().copied().collect::<Vec<_>>().join(" and ");
        breaches.add(
            Promise::OneBuyer,
            format!("hold {hold} of ticket {ticket} was told of two orders, {orders}"),
        );
    }
}

/// Goes through all writes to orders, in the order in which MongoDB made them.
fn ever(facts: &Facts<'_>, breaches: &mut Breaches) {
    let mut ticket_of: HashMap<&str, &str> = HashMap::new();
    let mut live: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for write in facts.world.writes.iter().filter(|write| write.namespace == "orders.orders") {
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
            breaches.add(
                Promise::OneBuyer,
                format!("ticket {ticket} had two live orders at once, {orders}"),
            );
        }
    }
}
