//! I1: a place never belongs to two orders at the same time, neither now nor at any earlier time, and a listing never has
//! more buyers than places. An order has its places while it is live, and goes on having them after a refund that didn't put
//! them back on sale.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::index::Index;
use super::snapshot::{OplogEntry, Order, Ticket};
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    for order in &index.snapshot.orders {
        is_consistent(order, violations);
    }
    for (ticket, orders) in &index.orders_of {
        now(ticket, orders, violations);
        if let Some(ticket) = index.tickets.get(ticket) {
            fit(ticket, orders, violations);
        }
    }
    slots(index, violations);
    at_any_time(index, violations);
}

/// The places and flags of an order agree with its quantity and status: the unique indexes read nothing else.
fn is_consistent(order: &Order, violations: &mut Violations) {
    let Order { id, status, places, quantity, .. } = order;
    let mut contradicts = |what: String| {
        violations.add(Invariant::OneBuyer, format!("order {id} is {status:?} and {what}"));
    };
    if order.occupies != order.has_places() {
        contradicts(format!("occupies its places: {}", order.occupies));
    }
    if order.unpaid != order.status.is_unpaid() {
        contradicts(format!("unpaid: {}", order.unpaid));
    }
    if order.withdrawn && order.status.is_live() {
        contradicts("withdrawn".to_owned());
    }
    let distinct: BTreeSet<_> = places.iter().collect();
    let is_lost = places.is_empty() && !order.has_places();
    if (distinct.len() != places.len() || places.len() as u64 != *quantity) && !is_lost {
        contradicts(format!("for {quantity}, and has the places {places:?}"));
    }
}

fn now(ticket: &str, orders: &[&Order], violations: &mut Violations) {
    let mut holders: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.has_places()) {
        for place in &order.places {
            holders.entry(*place).or_default().push(&order.id);
        }
    }
    for (place, holders) in holders.iter().filter(|(_, holders)| holders.len() > 1) {
        let ids = holders.join(" and ");
        violations.add(
            Invariant::OneBuyer,
            format!("place {place} of ticket {ticket} belongs to two orders, {ids}"),
        );
    }
}

/// Nobody has a place that doesn't exist, and there are no more buyers than places.
fn fit(ticket: &Ticket, orders: &[&Order], violations: &mut Violations) {
    let Ticket { id, quantity, .. } = ticket;
    let holders: Vec<_> = orders.iter().filter(|order| order.has_places()).collect();
    for order in &holders {
        let exists =
            |place: &i64| u64::try_from(*place).is_ok_and(|it| (1..=*quantity).contains(&it));
        if let Some(place) = order.places.iter().find(|place| !exists(place)) {
            let order = &order.id;
            violations.add(
                Invariant::OneBuyer,
                format!("order {order} has place {place} of ticket {id}, which has {quantity}"),
            );
        }
    }
    let sold: u64 = holders.iter().map(|order| order.quantity).sum();
    if sold > *quantity {
        violations.add(
            Invariant::OneBuyer,
            format!("ticket {id} has {quantity} places, and {sold} of them belong to orders"),
        );
    }
}

/// An unpaid order takes a slot of its buyer that no other one takes.
fn slots(index: &Index<'_>, violations: &mut Violations) {
    let mut holders: BTreeMap<(&str, i64), &str> = BTreeMap::new();
    for order in index.snapshot.orders.iter().filter(|order| order.unpaid) {
        let Some(slot) = order.slot else { continue };
        if let Some(other) = holders.insert((&order.user_id, slot), &order.id) {
            let (id, user) = (&order.id, &order.user_id);
            violations.add(
                Invariant::OneBuyer,
                format!("slot {slot} of user {user} is taken by two orders, {other} and {id}"),
            );
        }
    }
}

/// What an order had at some time.
#[derive(Default)]
struct Past<'a> {
    ticket: &'a str,
    places: Vec<i64>,
    is_live: bool,
    is_withdrawn: bool,
}

impl<'a> Past<'a> {
    fn apply(&mut self, write: &'a OplogEntry) {
        if let Some(ticket) = &write.ticket_id {
            self.ticket = ticket;
        }
        if let Some(places) = &write.places {
            self.places.clone_from(places);
        }
        if let Some(status) = write.status {
            self.is_live = status.is_live();
        }
        if let Some(withdrawn) = write.withdrawn {
            self.is_withdrawn = withdrawn;
        }
    }

    fn places(&self) -> BTreeSet<i64> {
        let has = self.is_live || self.is_withdrawn;
        if has { self.places.iter().copied().collect() } else { BTreeSet::new() }
    }
}

/// Replays all writes to orders, in the order of MongoDB's oplog.
fn at_any_time(index: &Index<'_>, violations: &mut Violations) {
    let mut orders: HashMap<&str, Past<'_>> = HashMap::new();
    let mut holders: HashMap<(&str, i64), BTreeSet<&str>> = HashMap::new();
    for write in index.snapshot.oplog.iter().filter(|write| write.namespace == "orders.orders") {
        let order = orders.entry(&write.id).or_default();
        let before = order.places();
        order.apply(write);
        // The order was inserted before the oplog begins.
        if order.ticket.is_empty() {
            continue;
        }
        let (ticket, now) = (order.ticket, order.places());
        for place in before.difference(&now) {
            holders.entry((ticket, *place)).or_default().remove(write.id.as_str());
        }
        for place in now.difference(&before) {
            let holders = holders.entry((ticket, *place)).or_default();
            holders.insert(&write.id);
            if holders.len() > 1 {
                let orders = holders.iter().copied().collect::<Vec<_>>().join(" and ");
                violations.add(
                    Invariant::OneBuyer,
                    format!(
                        "place {place} of ticket {ticket} belonged to two orders at the same time, {orders}"
                    ),
                );
            }
        }
    }
}
