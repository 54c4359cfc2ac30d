//! What clients were told with success. It is so, whatever died meanwhile. What they weren't told (a timeout,
//! a 5xx, a broken connection) isn't here: it may have happened or not.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::facts::Facts;
use super::world::OrderStatus;
use super::{Breaches, Promise};

/// The successful answers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Claims {
    /// 201: the users' ids.
    pub users: Vec<String>,
    /// 201 and 200: a ticket at a version.
    pub tickets: Vec<Listing>,
    /// 204: the tickets' ids.
    pub deleted: Vec<String>,
    /// 201
    pub orders: Vec<Placed>,
    /// 204: the orders' ids.
    pub cancelled: Vec<String>,
    /// 201: paid.
    pub paid: Vec<Paid>,
    /// 202: a payment whose outcome wasn't known yet.
    pub processing: Vec<Paid>,
    /// 202: the payments' ids.
    pub refunds: Vec<String>,
    /// Requests that were sent again under their `Idempotency-Key` after a success.
    pub heard_again: Vec<Heard>,
}

/// A ticket as its seller was told that it is.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    pub id: String,
    pub version: i64,
    pub seller: String,
    /// In cents.
    pub price: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Placed {
    pub id: String,
    pub ticket: String,
    pub buyer: String,
    /// In cents.
    pub price: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Paid {
    pub id: String,
    pub order: String,
}

/// The ids of what two successful answers under one key showed.
#[derive(Clone, Debug, Serialize)]
pub struct Heard {
    pub key: String,
    pub first: String,
    pub again: String,
}

impl Claims {
    pub fn count(&self) -> usize {
        let Claims { users, tickets, deleted, orders, cancelled, .. } = self;
        let Claims { paid, processing, refunds, heard_again, .. } = self;
        let market = users.len() + tickets.len() + deleted.len() + orders.len() + cancelled.len();
        market + paid.len() + processing.len() + refunds.len() + heard_again.len()
    }
}

pub(super) fn check(facts: &Facts<'_>, breaches: &mut Breaches) {
    let mut broken = |what: String| breaches.add(Promise::TheAnswer, what);
    let claims = &facts.world.claims;
    let users: HashSet<&str> = facts.world.users.iter().map(|user| user.id.as_str()).collect();
    for user in claims.users.iter().filter(|user| !users.contains(user.as_str())) {
        broken(format!("sign-up of user {user} was answered 201; there is no such user"));
    }
    for Listing { id, version, seller, price } in &claims.tickets {
        let kept = facts.tickets.get(id.as_str()).is_some_and(|ticket| {
            let same = ticket.version > *version || ticket.price == *price;
            ticket.version >= *version && ticket.user_id == *seller && same
        });
        if !kept {
            broken(format!(
                "ticket {id} was answered at version {version} and {price} cents; it is lost"
            ));
        }
    }
    for id in &claims.deleted {
        if facts.tickets.get(id.as_str()).is_none_or(|ticket| !ticket.deleted) {
            broken(format!("deletion of ticket {id} was answered 204; it isn't deleted"));
        }
    }
    for Placed { id, ticket, buyer, price } in &claims.orders {
        let kept = facts.orders.get(id.as_str()).is_some_and(|order| {
            order.ticket_id == *ticket && order.user_id == *buyer && order.ticket.price == *price
        });
        if !kept {
            broken(format!("order {id} of ticket {ticket} was answered 201; it is lost"));
        }
    }
    for id in &claims.cancelled {
        let is_over = facts.orders.get(id.as_str()).is_some_and(|order| {
            order.status == OrderStatus::Cancelled && order.cancel_reason.as_deref() == Some("user")
        });
        if !is_over {
            broken(format!("cancelling order {id} was answered 204; its buyer didn't end it"));
        }
    }
    for Heard { key, first, again } in claims.heard_again.iter().filter(|it| it.first != it.again) {
        broken(format!("under the key {key} there was {first}, and then {again}"));
    }
    let mut titles = HashMap::new();
    for ticket in &facts.world.tickets {
        // Each offer has a title of its own.
        if let Some(other) = titles.insert(&ticket.title, &ticket.id) {
            broken(format!("what was offered once is there twice, as {other} and {}", ticket.id));
        }
    }
    money(facts, claims, &mut broken);
}

fn money(facts: &Facts<'_>, claims: &Claims, broken: &mut impl FnMut(String)) {
    let is_there = |paid: &Paid| {
        let payment = facts.payments.get(paid.order.as_str());
        let charge = payment.and_then(|payment| payment.charge.as_ref());
        charge.is_some_and(|charge| charge.id == paid.id)
    };
    for paid in &claims.paid {
        let account = facts.accounts.get(paid.order.as_str());
        let charged = account.is_some_and(|account| !account.charges.is_empty());
        if !charged || !is_there(paid) {
            let Paid { id, order } = paid;
            broken(format!("payment {id} of order {order} was answered 201; nothing was charged"));
        }
    }
    for Paid { id, order } in claims.processing.iter().filter(|paid| !is_there(paid)) {
        broken(format!("payment {id} of order {order} was answered 202; there is no such payment"));
    }
    let refunded = |id: &String| {
        let mut payments = facts
            .world
            .payments
            .iter()
            .filter(|payment| payment.charge.as_ref().is_some_and(|charge| charge.id == *id));
        payments.next().is_some_and(|payment| {
            let account = facts.accounts.get(payment.order_id.as_str());
            account.is_some_and(|account| account.refunded() == account.charged())
        })
    };
    for id in claims.refunds.iter().filter(|id| !refunded(id)) {
        broken(format!("the refund of payment {id} was answered 202; the money isn't given back"));
    }
}
