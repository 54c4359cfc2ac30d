//! The topics that a page can subscribe to, and the events that invalidate them.

use std::fmt;

use common::events::{
    DisputedPayment, FailedPayment, Order, Payment, Refund, RefundRequired, ReleasedPayment,
    Reserved, Subject, Ticket,
};
use common::ids::{OrderId, TicketId, UserId};
use serde::Deserialize;

/// What a page can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Ticket(TicketId),
    Order(OrderId),
    /// Everything that a user has bought and sold.
    User(UserId),
}

/// A topic has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidation {
    pub topic: Topic,
    /// Its new version; none if not the ticket or order itself has changed, but something shown with it.
    pub version: Option<i64>,
}

impl Topic {
    /// Parses a topic that a page requests. `me` is the visitor.
    pub fn parse(name: &str, me: Option<UserId>) -> Option<Topic> {
        match name.split_once(':') {
            Some(("ticket", id)) => id.parse().ok().map(Topic::Ticket),
            Some(("order", id)) => id.parse().ok().map(Topic::Order),
            Some(_) => None,
            None if name == ME => me.map(Topic::User),
            None => None,
        }
    }

    fn invalidated(self) -> Invalidation {
        Invalidation { topic: self, version: None }
    }

    fn at_version(self, version: i64) -> Invalidation {
        Invalidation { topic: self, version: Some(version) }
    }
}

/// The visitor's own topic.
pub const ME: &str = "me";

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Ticket(id) => write!(f, "ticket:{id}"),
            Topic::Order(id) => write!(f, "order:{id}"),
            // A user can subscribe only to their own.
            Topic::User(_) => f.write_str(ME),
        }
    }
}

/// The topics that an event invalidates.
pub fn invalidations(subject: Subject, data: &[u8]) -> serde_json::Result<Vec<Invalidation>> {
    match subject {
        Subject::TicketCreated | Subject::TicketUpdated | Subject::TicketDeleted => {
            read(data, |ticket: Ticket| vec![Topic::Ticket(ticket.id).at_version(ticket.version)])
        }
        Subject::TicketReserved => read(data, |reserved: Reserved| {
            vec![
                Topic::Ticket(reserved.ticket_id).invalidated(),
                Topic::Order(reserved.order_id).invalidated(),
            ]
        }),
        Subject::OrderCreated
        | Subject::OrderUpdated
        | Subject::OrderCompleted
        | Subject::OrderCancelled => read(data, |order: Order| {
            vec![
                Topic::Order(order.id).at_version(order.version),
                Topic::Ticket(order.ticket.id).invalidated(),
                Topic::User(order.user_id).invalidated(),
                Topic::User(order.ticket.user_id).invalidated(),
            ]
        }),
        Subject::OrderRefundRequired => {
            read(data, |required: RefundRequired| payment_of(required.order_id))
        }
        Subject::PaymentCreated | Subject::PaymentCaptured => {
            read(data, |payment: Payment| payment_of(payment.order_id))
        }
        Subject::PaymentFailed => read(data, |failed: FailedPayment| payment_of(failed.order_id)),
        Subject::PaymentReleased => {
            read(data, |released: ReleasedPayment| payment_of(released.order_id))
        }
        Subject::PaymentRefunded => read(data, |refund: Refund| payment_of(refund.order_id)),
        Subject::PaymentDisputed => {
            read(data, |disputed: DisputedPayment| payment_of(disputed.order_id))
        }
        // No page shows these, and none of their streams is subscribed to for pages.
        Subject::UserCreated
        | Subject::UserUpdated
        | Subject::UserSessionEnded
        | Subject::ExpirationComplete => Ok(Vec::new()),
    }
}

fn read<'a, T: Deserialize<'a>>(
    data: &'a [u8],
    invalidated: impl FnOnce(T) -> Vec<Invalidation>,
) -> serde_json::Result<Vec<Invalidation>> {
    serde_json::from_slice(data).map(invalidated)
}

/// The payment of an order has changed, which is shown with the order.
fn payment_of(order: OrderId) -> Vec<Invalidation> {
    vec![Topic::Order(order).invalidated()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::Time;
    use common::events::Stream;
    use serde_json::json;

    fn ids() -> (TicketId, OrderId, UserId, UserId) {
        let now = Time::from_millis(1_700_000_000_000);
        (TicketId::new(now), OrderId::new(now), UserId::new(now), UserId::new(now))
    }

    #[test]
    fn topics_parse_as_displayed_and_me_requires_a_session() {
        let (ticket, order, me, _) = ids();
        for topic in [Topic::Ticket(ticket), Topic::Order(order), Topic::User(me)] {
            assert_eq!(Topic::parse(&topic.to_string(), Some(me)), Some(topic));
        }
        assert_eq!(Topic::parse("me", None), None);
        for wrong in ["", "ticket", "ticket:", "ticket:1", "user:1", &format!("me:{me}")] {
            assert_eq!(Topic::parse(wrong, Some(me)), None, "{wrong}");
        }
    }

    #[test]
    fn an_order_event_invalidates_the_order_its_ticket_buyer_and_seller() {
        let (ticket, order, buyer, seller) = ids();
        let data = json!({
            "id": order, "userId": buyer, "status": "created", "version": 3,
            "expiresAt": "2026-11-21T12:00:00Z",
            "ticket": { "id": ticket, "title": "Tosca", "price": 2050, "currency": "usd",
                "userId": seller, "timeZone": "UTC" },
        });
        let invalidations = invalidations(Subject::OrderCreated, data.to_string().as_bytes());
        let expected = |topic, version| Invalidation { topic, version };
        assert_eq!(
            invalidations.unwrap(),
            [
                expected(Topic::Order(order), Some(3)),
                expected(Topic::Ticket(ticket), None),
                expected(Topic::User(buyer), None),
                expected(Topic::User(seller), None),
            ]
        );
    }

    #[test]
    fn every_event_of_a_watched_stream_invalidates_something() {
        for subject in Subject::ALL {
            // Those of users are watched for what they revoke.
            let is_watched =
                subject.stream().watchers().contains(&"web") && subject.stream() != Stream::Users;
            // Events that invalidate nothing aren't even parsed.
            assert_eq!(invalidations(*subject, b"rubbish").is_err(), is_watched, "{subject}");
        }
    }
}
