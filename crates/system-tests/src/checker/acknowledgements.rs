//! What was acknowledged to clients is durable, whatever failed meanwhile.

use std::collections::{HashMap, HashSet};

use super::acknowledged::{
    Acknowledged, AcknowledgedOrder, AcknowledgedPayment, AcknowledgedRefund, AcknowledgedTicket,
    Replay,
};
use super::index::Index;
use super::snapshot::OrderStatus;
use super::violations::{Invariant, Violations};

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
        // What was only authorised is released: it has no account. A bank may have been faster.
        let is_kept = account.is_some_and(|account| account.kept() != 0);
        if order.is_none() || is_kept {
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
