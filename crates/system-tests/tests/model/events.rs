//! The events between the services, as the outbox publishes them, and their consumers.

use std::fmt;

use common::events::{
    Expiration, ExpirationComplete, FailedPayment, Order, OrderCancelled, OrderCompleted,
    OrderCreated, OrderRefundRequired, Payment, PaymentCreated, PaymentFailed, PaymentRefunded,
    Refund, RefundRequired, Subject, Ticket, TicketCreated, TicketDeleted, TicketUpdated,
};
use orders::domain::{Effect as TicketEffect, TicketReplica};
use store::OutboxMessage;

/// A published event.
pub struct Message {
    pub id: String,
    pub event: Event,
    data: String,
}

/// Its content, decoded from JSON as a consumer does.
pub enum Event {
    /// With what orders does about it, in its order.
    Ticket(Ticket, Vec<TicketEffect>),
    Order(Order),
    RefundRequired(RefundRequired),
    /// No modelled service consumes it.
    Ignored,
    Expiration(Expiration),
    Paid(Payment),
    Failed(FailedPayment),
    Refunded(Refund),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Tickets,
    Orders,
    Payments,
    Expiration,
}

impl Listener {
    pub const ALL: [Listener; 4] =
        [Listener::Tickets, Listener::Orders, Listener::Payments, Listener::Expiration];
}

impl Message {
    pub fn of(announcement: &OutboxMessage) -> Message {
        let data = announcement.data();
        Message {
            id: announcement.id().to_owned(),
            event: Event::read(announcement.subject(), data),
            data: data.to_owned(),
        }
    }

    /// The number of writes of orders.
    pub fn writes(&self) -> usize {
        if let Event::Ticket(_, writes) = &self.event { writes.len() } else { 1 }
    }

    /// According to the services' `app.rs`.
    pub fn is_consumed_by(&self, listener: Listener) -> bool {
        let listeners: &[Listener] = match &self.event {
            Event::Ticket(..)
            | Event::Expiration(_)
            | Event::Paid(_)
            | Event::Failed(_)
            | Event::Refunded(_) => &[Listener::Orders],
            Event::Order(_) => &[Listener::Tickets, Listener::Payments, Listener::Expiration],
            Event::RefundRequired(_) => &[Listener::Payments],
            Event::Ignored => &[],
        };
        listeners.contains(&listener)
    }
}

impl Event {
    fn read(subject: Subject, data: &str) -> Event {
        fn parse<E: common::events::Event>(data: &str) -> E {
            serde_json::from_str(data).expect("an event reads what an event wrote")
        }
        let ticket = |ticket: Ticket, writes: fn(&Ticket) -> Vec<TicketEffect>| {
            let writes = writes(&ticket);
            Event::Ticket(ticket, writes)
        };
        // The one place where a new event has to be added to the model.
        match subject {
            Subject::UserCreated
            | Subject::UserUpdated
            | Subject::OrderUpdated
            | Subject::TicketReserved => Event::Ignored,
            Subject::TicketCreated => {
                ticket(parse::<TicketCreated>(data).0, TicketReplica::created)
            }
            Subject::TicketUpdated => {
                ticket(parse::<TicketUpdated>(data).0, TicketReplica::updated)
            }
            Subject::TicketDeleted => {
                ticket(parse::<TicketDeleted>(data).0, TicketReplica::deleted)
            }
            Subject::OrderCreated => Event::Order(parse::<OrderCreated>(data).0),
            Subject::OrderCancelled => Event::Order(parse::<OrderCancelled>(data).0),
            Subject::OrderCompleted => Event::Order(parse::<OrderCompleted>(data).0),
            Subject::OrderRefundRequired => {
                Event::RefundRequired(parse::<OrderRefundRequired>(data).0)
            }
            Subject::ExpirationComplete => Event::Expiration(parse::<ExpirationComplete>(data).0),
            Subject::PaymentCreated => Event::Paid(parse::<PaymentCreated>(data).0),
            Subject::PaymentFailed => Event::Failed(parse::<PaymentFailed>(data).0),
            Subject::PaymentRefunded => Event::Refunded(parse::<PaymentRefunded>(data).0),
        }
    }
}

/// For the interner, which distinguishes messages by their whole content.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let (subject, version) = (self.id.split(':').next(), self.id.split(':').next_back());
            return write!(f, "{} v{}", subject.unwrap_or_default(), version.unwrap_or_default());
        }
        write!(f, "{} {}", self.id, self.data)
    }
}
