//! I5: no ticket is stuck. Every hold has run out by now, so what isn't sold is free.

use super::facts::Facts;
use super::world::OrderStatus;
use super::{Breaches, Promise};

pub(super) fn check(facts: &Facts<'_>, breaches: &mut Breaches) {
    for ticket in &facts.world.tickets {
        let Some(order_id) = &ticket.order_id else { continue };
        let id = &ticket.id;
        match facts.orders.get(order_id.as_str()).map(|order| order.status) {
            None => breaches.add(
                Promise::NoStuckTicket,
                format!("ticket {id} is locked for order {order_id}, which doesn't exist"),
            ),
            Some(OrderStatus::Cancelled) => breaches.add(
                Promise::NoStuckTicket,
                format!("ticket {id} is locked for order {order_id}, which is over"),
            ),
            Some(OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete) => {}
        }
    }
    for order in facts.world.orders.iter().filter(|order| order.unpaid) {
        let late = facts.world.taken_at - order.expires_at;
        if late > 0 {
            let (id, status) = (&order.id, order.status);
            breaches.add(
                Promise::NoStuckTicket,
                format!("order {id} is {status:?}, {late} ms after its end"),
            );
        }
    }
    for order in &facts.world.timers {
        if facts.orders.get(order.as_str()).is_none_or(|order| !order.unpaid) {
            breaches.add(
                Promise::NoStuckTicket,
                format!("Redis keeps a timer for order {order}, which is over"),
            );
        }
    }
}
