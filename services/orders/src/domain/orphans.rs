//! Orphans after a restore: this database was restored from a back-up that is older than some orders, and other services
//! still refer to those. A charge without an order is refunded, and a reservation without an order is released.
//!
//! Both are stored as an ended order. Who ordered what is unknown, so its ids of users (and, for a charge, of the ticket)
//! are new ones that refer to nothing.

use common::Time;
use common::events::{
    self, CancelReason, OrderCancelled, OrderStatus, OrderedTicket, RefundReason,
};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use store::{Change, RESTORE_VERSION_OFFSET};

use super::{Answer, Order, Payment, TicketReplica};

impl Order {
    /// A charge for a missing order: an ended order that requires its refund.
    pub fn orphaned_charge(payment: &events::Payment, now: Time) -> Change<Order> {
        let ticket = OrderedTicket {
            id: TicketId::new(now),
            user_id: UserId::new(now),
            listing: Listing::unknown(payment.amount, payment.currency.clone()),
        };
        let mut order = Order::ended(payment.order_id, ticket, now);
        order.payment = Some(Payment {
            id: payment.id,
            version: payment.version,
            answer: Some(Answer::RefundRequired),
            refunded: false,
        });
        order.requiring_refund(payment.id, RefundReason::OrderCancelled)
    }

    /// A ticket is locked for a missing order: an ended order, whose fencing number is newer than any that tickets has
    /// published, so that tickets unlocks the ticket.
    pub fn orphaned_reservation(
        id: OrderId,
        ticket: &TicketReplica,
        hold: i64,
        now: Time,
    ) -> Change<Order> {
        Order::ended(id, ticket.as_ordered(), now).releasing(ticket, hold)
    }

    /// The same for an order that was stored because of an orphaned charge. None: the order isn't missing, and its own
    /// events settle whose the ticket is.
    pub fn release_orphaned_reservation(
        &self,
        ticket: &TicketReplica,
        hold: i64,
    ) -> Option<Change<Order>> {
        let next = Order { version: self.version + 1, ..self.clone() };
        self.is_orphaned_charge().then(|| next.releasing(ticket, hold))
    }

    /// Whether its charge is all that is known of it.
    pub fn is_orphaned_charge(&self) -> bool {
        self.holds.is_empty()
    }

    fn releasing(self, ticket: &TicketReplica, hold: i64) -> Change<Order> {
        let ordered = ticket.as_ordered();
        let order = Order {
            ticket_id: ordered.id,
            seller_id: ordered.user_id,
            ticket: ordered,
            holds: vec![hold],
            ..self
        };
        let event = OrderCancelled(order.event());
        Change::with_event(order, &event)
    }

    /// Other services may have seen any version below this one's.
    fn ended(id: OrderId, ticket: OrderedTicket, now: Time) -> Order {
        Order {
            id,
            version: RESTORE_VERSION_OFFSET + 1,
            created_at: now,
            user_id: UserId::new(now),
            ticket_id: ticket.id,
            seller_id: ticket.user_id,
            ticket,
            status: OrderStatus::Cancelled,
            cancel_reason: Some(CancelReason::Refunded),
            active: false,
            unpaid: false,
            expires_at: now,
            holds: Vec::new(),
            payment: None,
            refund_required: None,
        }
    }
}
