//! What a page can follow, and which events concern it.

use std::fmt;

use common::events::{FailedPayment, Order, Payment, Refund, RefundRequired, Subject, Ticket};
use common::ids::{OrderId, TicketId, UserId};
use serde::Deserialize;

/// What a page can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Ticket(TicketId),
    Order(OrderId),
    /// All that someone has bought and sold.
    Person(UserId),
}

/// Something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub topic: Topic,
    /// What version it has by the change; none if what changed is not the thing itself but something that is
    /// shown with it.
    pub version: Option<i64>,
}

impl Topic {
    /// Reads a topic as a page names it. `me` is whoever asks.
    pub fn named(name: &str, me: Option<UserId>) -> Option<Topic> {
        match name.split_once(':') {
            Some(("ticket", id)) => id.parse().ok().map(Topic::Ticket),
            Some(("order", id)) => id.parse().ok().map(Topic::Order),
            Some(_) => None,
            None if name == ME => me.map(Topic::Person),
            None => None,
        }
    }

    fn has_changed(self) -> Change {
        Change { topic: self, version: None }
    }

    fn is_at(self, version: i64) -> Change {
        Change { topic: self, version: Some(version) }
    }
}

/// The topic of whoever asks.
pub const ME: &str = "me";

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Ticket(id) => write!(f, "ticket:{id}"),
            Topic::Order(id) => write!(f, "order:{id}"),
            // Nobody follows anybody else.
            Topic::Person(_) => f.write_str(ME),
        }
    }
}

/// What an event says has changed. Of events that no page follows, and of those that a later version publishes, nothing.
pub fn changes(subject: &str, data: &[u8]) -> serde_json::Result<Vec<Change>> {
    let Ok(subject) = subject.parse() else { return Ok(Vec::new()) };
    Ok(match subject {
        Subject::TicketCreated | Subject::TicketUpdated | Subject::TicketDeleted => {
            let ticket: Ticket = read(data)?;
            vec![Topic::Ticket(ticket.id).is_at(ticket.version)]
        }
        Subject::OrderCreated
        | Subject::OrderUpdated
        | Subject::OrderCompleted
        | Subject::OrderCancelled => {
            let order: Order = read(data)?;
            vec![
                Topic::Order(order.id).is_at(order.version),
                Topic::Ticket(order.ticket.id).has_changed(),
                Topic::Person(order.user_id).has_changed(),
                Topic::Person(order.ticket.user_id).has_changed(),
            ]
        }
        Subject::OrderRefundRequired => of_order(read::<RefundRequired>(data)?.order_id),
        Subject::PaymentCreated => of_order(read::<Payment>(data)?.order_id),
        Subject::PaymentFailed => of_order(read::<FailedPayment>(data)?.order_id),
        Subject::PaymentRefunded => of_order(read::<Refund>(data)?.order_id),
        Subject::UserCreated | Subject::UserUpdated | Subject::ExpirationComplete => Vec::new(),
    })
}

fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(data)
}

/// What is shown with an order has changed: its payment.
fn of_order(id: OrderId) -> Vec<Change> {
    vec![Topic::Order(id).has_changed()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::Time;
    use serde_json::json;

    fn ids() -> (TicketId, OrderId, UserId, UserId) {
        let now = Time::from_millis(1_700_000_000_000);
        (TicketId::new(now), OrderId::new(now), UserId::new(now), UserId::new(now))
    }

    #[test]
    fn a_topic_is_read_as_it_is_written_and_one_s_own_only_by_who_is_signed_in() {
        let (ticket, order, me, _) = ids();
        for topic in [Topic::Ticket(ticket), Topic::Order(order), Topic::Person(me)] {
            assert_eq!(Topic::named(&topic.to_string(), Some(me)), Some(topic));
        }
        assert_eq!(Topic::named("me", None), None);
        for wrong in ["", "ticket", "ticket:", "ticket:1", "user:1", &format!("me:{me}")] {
            assert_eq!(Topic::named(wrong, Some(me)), None, "{wrong}");
        }
    }

    #[test]
    fn an_order_s_event_concerns_the_order_its_ticket_and_both_sides() {
        let (ticket, order, buyer, seller) = ids();
        let data = json!({
            "id": order, "hold": 1, "userId": buyer, "status": "created", "version": 3,
            "expiresAt": "2026-11-21T12:00:00Z",
            "ticket": { "id": ticket, "title": "Tosca", "price": 2050, "currency": "usd",
                "userId": seller, "timeZone": "UTC" },
        });
        let changes = changes("order.created", data.to_string().as_bytes()).unwrap();
        let told = |topic, version| Change { topic, version };
        assert_eq!(
            changes,
            [
                told(Topic::Order(order), Some(3)),
                told(Topic::Ticket(ticket), None),
                told(Topic::Person(buyer), None),
                told(Topic::Person(seller), None),
            ]
        );
    }

    #[test]
    fn every_event_of_a_ticket_an_order_or_a_payment_concerns_somebody() {
        for subject in Subject::ALL {
            let is_watched = subject.stream().watchers().contains(&"web");
            // What concerns nobody isn't even read.
            assert_eq!(changes(subject.as_str(), b"rubbish").is_err(), is_watched, "{subject}");
        }
    }
}
