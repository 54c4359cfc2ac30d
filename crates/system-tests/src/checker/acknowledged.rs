//! What was acknowledged to clients is durable, whatever failed meanwhile. A request with an unknown outcome (a timeout,
//! a 5xx, a failed connection) isn't here: it may have been executed or not.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::index::Index;
use super::snapshot::OrderStatus;
use super::{Invariant, Violations};

/// The successful responses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Acknowledged {
    /// 201: the users' ids.
    pub users: Vec<String>,
    /// 201 and 200: a ticket at a version.
    pub tickets: Vec<AcknowledgedTicket>,
    /// 204: the tickets' ids.
    pub deleted: Vec<String>,
    /// 201
    pub orders: Vec<AcknowledgedOrder>,
    /// 204: the orders' ids.
    pub cancelled: Vec<String>,
    /// 201: completed.
    pub paid: Vec<AcknowledgedPayment>,
    /// 202: the outcome was unknown at the time.
    pub processing: Vec<AcknowledgedPayment>,
    /// 202
    pub refunds: Vec<AcknowledgedRefund>,
    /// Requests that were repeated under their `Idempotency-Key` after a success.
    pub replays: Vec<Replay>,
}

/// A ticket as the response to its seller showed it.
#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedTicket {
    pub id: String,
    pub version: i64,
    pub seller: String,
    /// Of one place, in cents.
    pub price: i64,
    pub quantity: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedOrder {
    pub id: String,
    pub ticket: String,
    pub buyer: String,
    /// Of one place, in cents.
    pub price: i64,
    /// As many as the buyer wanted.
    pub quantity: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedRefund {
    pub payment: String,
    /// Whether the places were to go back on sale.
    pub relist: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedPayment {
    pub id: String,
    pub order: String,
}

/// The ids in two successful responses under one key.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    pub key: String,
    pub first: String,
    pub second: String,
}

impl Acknowledged {
    pub fn count(&self) -> usize {
        let Acknowledged { users, tickets, deleted, orders, cancelled, .. } = self;
        let Acknowledged { paid, processing, refunds, replays, .. } = self;
        let market = users.len() + tickets.len() + deleted.len() + orders.len() + cancelled.len();
        market + paid.len() + processing.len() + refunds.len() + replays.len()
    }
}

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    let mut lost = |what: String| violations.add(Invariant::Acknowledged, what);
    let acknowledged = &index.snapshot.acknowledged;
    let users: HashSet<&str> = index.snapshot.users.iter().map(|user| user.id.as_str()).collect();
    for user in acknowledged.users.iter().filter(|user| !users.contains(user.as_str())) {
        lost(format!("the sign-up of user {user} returned 201; the user doesn't exist"));
    }
    for AcknowledgedTicket { id, version, seller, price, quantity } in &acknowledged.tickets {
        let is_kept = index.tickets.get(id.as_str()).is_some_and(|ticket| {
            let same = ticket.version > *version || ticket.price == *price;
            // It only grows.
            let same = same && ticket.quantity >= *quantity;
            ticket.version >= *version && ticket.user_id == *seller && same
        });
        if !is_kept {
            lost(format!(
                "ticket {id} was returned at version {version}, with {quantity} places at {price} cents; it is lost"
            ));
        }
    }
    for id in &acknowledged.deleted {
        if index.tickets.get(id.as_str()).is_none_or(|ticket| !ticket.deleted) {
            lost(format!("the deletion of ticket {id} returned 204; it isn't deleted"));
        }
    }
    for AcknowledgedOrder { id, ticket, buyer, price, quantity } in &acknowledged.orders {
        let is_kept = index.orders.get(id.as_str()).is_some_and(|order| {
            let same = order.ticket_id == *ticket && order.user_id == *buyer;
            same && order.ticket.price == *price && order.quantity == *quantity
        });
        if !is_kept {
            lost(format!(
                "order {id} of {quantity} places of ticket {ticket} was created with 201; it is lost"
            ));
        }
    }
    for id in &acknowledged.cancelled {
        let is_cancelled = index.orders.get(id.as_str()).is_some_and(|order| {
            order.status == OrderStatus::Cancelled && order.cancel_reason.as_deref() == Some("user")
        });
        if !is_cancelled {
            lost(format!(
                "the cancellation of order {id} returned 204; its buyer didn't cancel it"
            ));
        }
    }
    for Replay { key, first, second } in
        acknowledged.replays.iter().filter(|it| it.first != it.second)
    {
        lost(format!("key {key} returned {first}, and then {second}"));
    }
    let mut titles = HashMap::new();
    for ticket in &index.snapshot.tickets {
        // Titles are unique.
        if let Some(other) = titles.insert(&ticket.title, &ticket.id) {
            lost(format!("a ticket was listed twice, as {other} and {}", ticket.id));
        }
    }
    money(index, acknowledged, &mut lost);
}

fn money(index: &Index<'_>, acknowledged: &Acknowledged, lost: &mut impl FnMut(String)) {
    let exists = |paid: &AcknowledgedPayment| {
        let payment = index.payments.get(paid.order.as_str());
        let state = payment.and_then(|payment| payment.state.as_ref());
        state.is_some_and(|state| state.id == paid.id)
    };
    for paid in &acknowledged.paid {
        let account = index.accounts.get(paid.order.as_str());
        let charged = account.is_some_and(|account| !account.charges.is_empty());
        if !charged || !exists(paid) {
            let AcknowledgedPayment { id, order } = paid;
            lost(format!("payment {id} of order {order} returned 201; nothing was charged"));
        }
    }
    for AcknowledgedPayment { id, order } in
        acknowledged.processing.iter().filter(|paid| !exists(paid))
    {
        lost(format!("payment {id} of order {order} returned 202; it doesn't exist"));
    }
    for AcknowledgedRefund { payment: id, relist } in &acknowledged.refunds {
        let mut payments = index
            .snapshot
            .payments
            .iter()
            .filter(|payment| payment.state.as_ref().is_some_and(|state| state.id == *id));
        let order = payments.next().map(|payment| payment.order_id.as_str());
        let account = order.and_then(|order| index.accounts.get(order));
        if account.is_none_or(|account| account.refunded() != account.charged()) {
            lost(format!("the refund of payment {id} returned 202; it isn't refunded in full"));
        }
        let order = order.and_then(|order| index.orders.get(order));
        let ended = order.filter(|order| order.cancel_reason.as_deref() == Some("refunded"));
        if let Some(order) = ended.filter(|order| order.withdrawn == *relist) {
            let order = &order.id;
            lost(format!(
                "the refund of order {order} was to put its places back on sale: {relist}; that didn't happen"
            ));
        }
    }
}
