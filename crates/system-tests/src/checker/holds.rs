//! I5: no ticket is stuck. All reservations have expired by now, so a ticket that isn't sold is available.

use super::index::Index;
use super::snapshot::OrderStatus;
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    for ticket in &index.snapshot.tickets {
        let Some(order_id) = &ticket.order_id else { continue };
        let id = &ticket.id;
        match index.orders.get(order_id.as_str()).map(|order| order.status) {
            None => violations.add(
                Invariant::NoStuckTicket,
                format!("ticket {id} is locked for order {order_id}, which doesn't exist"),
            ),
            Some(OrderStatus::Cancelled) => violations.add(
                Invariant::NoStuckTicket,
                format!("ticket {id} is locked for order {order_id}, which has ended"),
            ),
            Some(OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete) => {}
        }
    }
    for order in index.snapshot.orders.iter().filter(|order| order.unpaid) {
        let late = index.snapshot.taken_at - order.expires_at;
        if late > 0 {
            let (id, status) = (&order.id, order.status);
            violations.add(
                Invariant::NoStuckTicket,
                format!("order {id} is {status:?}, {late} ms after its expiry"),
            );
        }
    }
    for order in &index.snapshot.timers {
        if index.orders.get(order.as_str()).is_none_or(|order| !order.unpaid) {
            violations.add(
                Invariant::NoStuckTicket,
                format!("Redis has a timer for order {order}, which has ended"),
            );
        }
    }
}
