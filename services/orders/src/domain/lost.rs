//! Orders that this database has lost: it was restored from a back-up that is older than they are. Others
//! still know of them, and say so. Who ordered what isn't known any more: ids that nobody and nothing has
//! stand there.

use common::Time;
use common::events::{
    self, CancelReason, OrderCancelled, OrderStatus, OrderedTicket, RefundReason,
};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use store::{Change, RESTORE_VERSION_OFFSET};

use super::{Answer, Order, Payment, Ticket};

impl Order {
    /// A charge for an order that is lost: an order that has ended, so that the charge is given back.
    pub fn lost(payment: &events::Payment, now: Time) -> Change<Order> {
        let ticket = OrderedTicket {
            id: TicketId::new(now),
            user_id: UserId::new(now),
            listing: Listing {
                title: String::new(),
                price: payment.amount,
                currency: payment.currency.clone(),
                date: None,
                time_zone: "UTC".to_owned(),
                venue: None,
            },
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

    /// A ticket is said to be locked for an order that is lost: an order that has ended, under a hold that
    /// is newer than any that tickets has heard of, so that the ticket is free.
    pub fn lost_holder(id: OrderId, ticket: &Ticket, hold: i64, now: Time) -> Change<Order> {
        Order::ended(id, ticket.as_ordered(), now).letting_go(ticket, hold)
    }

    /// The same, when a charge has told of the order before. None: the order isn't lost, and its own events
    /// say what is to be said.
    pub fn found_holder(&self, ticket: &Ticket, hold: i64) -> Option<Change<Order>> {
        let next = Order { version: self.version + 1, ..self.clone() };
        self.is_lost().then(|| next.letting_go(ticket, hold))
    }

    /// Whether all that is known of it is a charge.
    pub fn is_lost(&self) -> bool {
        self.holds.is_empty()
    }

    fn letting_go(self, ticket: &Ticket, hold: i64) -> Change<Order> {
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

    /// The others may have seen any version below this one.
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
