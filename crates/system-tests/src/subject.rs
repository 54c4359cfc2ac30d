//! The subjects of the event catalogue, as an enum: what is matched over it, without `_`, doesn't compile until a new
//! event has its place. `common::events` is to generate it; this is the same until then.

use std::str::FromStr;

use common::events::Stream;

macro_rules! subjects {
    ($($name:ident $subject:literal $stream:ident,)+) => {
        /// What an event is published as.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Subject {
            $($name,)+
        }

        impl Subject {
            pub const ALL: &[Subject] = &[$(Subject::$name,)+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Subject::$name => $subject,)+
                }
            }

            pub const fn stream(self) -> Stream {
                match self {
                    $(Subject::$name => Stream::$stream,)+
                }
            }
        }
    };
}

subjects! {
    UserCreated "user.created" Users,
    UserUpdated "user.updated" Users,
    TicketCreated "ticket.created" Tickets,
    TicketUpdated "ticket.updated" Tickets,
    TicketDeleted "ticket.deleted" Tickets,
    OrderCreated "order.created" Orders,
    OrderCancelled "order.cancelled" Orders,
    OrderUpdated "order.updated" Orders,
    OrderCompleted "order.completed" Orders,
    OrderRefundRequired "order.refund_required" Orders,
    ExpirationComplete "expiration.complete" Expiration,
    PaymentCreated "payment.created" Payments,
    PaymentFailed "payment.failed" Payments,
    PaymentRefunded "payment.refunded" Payments,
}

/// The name of no event in the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownSubject;

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(text: &str) -> Result<Subject, UnknownSubject> {
        let mut all = Subject::ALL.iter().copied();
        all.find(|subject| subject.as_str() == text).ok_or(UnknownSubject)
    }
}

#[cfg(test)]
mod tests {
    use common::events::CATALOGUE;

    use super::*;

    #[test]
    fn every_event_of_the_catalogue_has_a_subject() {
        let subjects: Vec<_> =
            Subject::ALL.iter().map(|subject| (subject.as_str(), subject.stream())).collect();
        assert_eq!(subjects, CATALOGUE);
    }
}
