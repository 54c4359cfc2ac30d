//! Orphans after a restore: this database was restored from a back-up that is older than some orders, and other services
//! still refer to those. A charge without an order is refunded, and a reservation without an order is released.
//!
//! Both are stored as an ended order. Who ordered what is unknown, so its ids of users (and, for a charge, of the ticket)
//! are new ones that refer to nothing, and it has no places.

use common::events::{
    self, CancelReason, OrderCancelled, OrderStatus, OrderedTicket, RefundReason,
};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use common::{Quantity, Time};
use store::{Change, RESTORE_VERSION_OFFSET};

use super::{Answer, Order, Payment, TicketReplica};

impl Order {
    /// A payment for a missing order: an ended order that requires its refund.
    pub fn orphaned_charge(payment: &events::Payment, now: Time) -> Change<Order> {
        let ticket = OrderedTicket {
            id: TicketId::new(now),
            user_id: UserId::new(now),
            listing: Listing::unknown(payment.amount, payment.currency.clone()),
        };
        let mut order = Order::ended(payment.order_id, ticket, now);
        order.orphaned_charge = true;
        order.payment = Some(Payment {
            id: payment.id,
            version: payment.version,
            answer: Some(Answer::RefundRequired),
            settled: false,
        });
        order.requiring_refund(payment.id, RefundReason::OrderCancelled)
    }

    /// Places are reserved in tickets for a missing order: an ended order, so that tickets releases them.
    pub fn orphaned_reservation(id: OrderId, ticket: &TicketReplica, now: Time) -> Change<Order> {
        Order::ended(id, ticket.as_ordered(), now).releasing(ticket)
    }

    /// The same for an order that was stored because of an orphaned charge. None: the order isn't missing, and its own
    /// events settle whose the places are.
    pub fn release_orphaned_reservation(&self, ticket: &TicketReplica) -> Option<Change<Order>> {
        let next = Order { version: self.version + 1, ..self.clone() };
        self.orphaned_charge.then(|| next.releasing(ticket))
    }

    fn releasing(self, ticket: &TicketReplica) -> Change<Order> {
        let ordered = ticket.as_ordered();
        let order = Order {
            ticket_id: ordered.id,
            seller_id: ordered.user_id,
            ticket: ordered,
            orphaned_charge: false,
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
            quantity: Quantity::ONE,
            places: Vec::new(),
            occupies: false,
            withdrawn: false,
            unpaid: false,
            slot: None,
            total: ticket.listing.price,
            ticket,
            status: OrderStatus::Cancelled,
            cancel_reason: Some(CancelReason::Refunded),
            expires_at: now,
            paid_at: None,
            orphaned_charge: false,
            payment: None,
            handover: None,
            refund_required: None,
        }
    }
}
