//! What the checker knows of each event: the one place where a new event has to be added, as it doesn't compile until then.

use common::events::Subject;

/// The member of an event that has the id of its aggregate: of the order, also in the events of its payment.
pub(super) fn id_member(subject: Subject) -> &'static str {
    match subject {
        Subject::UserCreated
        | Subject::UserUpdated
        | Subject::UserSessionEnded
        | Subject::TicketCreated
        | Subject::TicketUpdated
        | Subject::TicketDeleted
        | Subject::OrderCreated
        | Subject::OrderCancelled
        | Subject::OrderUpdated
        | Subject::OrderCompleted => "id",
        Subject::TicketReserved
        | Subject::OrderRefundRequired
        | Subject::ExpirationComplete
        | Subject::PaymentCreated
        | Subject::PaymentCaptured
        | Subject::PaymentFailed
        | Subject::PaymentReleased
        | Subject::PaymentRefunded
        | Subject::PaymentDisputed => "orderId",
    }
}

/// Whether it carries the whole public state of its aggregate, so that the latest one must be equal to the document.
pub(super) fn carries_state(subject: Subject) -> bool {
    match subject {
        Subject::UserCreated
        | Subject::UserUpdated
        | Subject::TicketCreated
        | Subject::TicketUpdated
        | Subject::TicketDeleted
        | Subject::OrderCreated
        | Subject::OrderCancelled
        | Subject::OrderUpdated
        | Subject::OrderCompleted => true,
        Subject::UserSessionEnded
        | Subject::TicketReserved
        | Subject::OrderRefundRequired
        | Subject::ExpirationComplete
        | Subject::PaymentCreated
        | Subject::PaymentCaptured
        | Subject::PaymentFailed
        | Subject::PaymentReleased
        | Subject::PaymentRefunded
        | Subject::PaymentDisputed => false,
    }
}

/// The databases and collections of all aggregates.
pub(super) const AGGREGATES: [(&str, &str); 7] = [
    ("auth", "users"),
    ("auth", "sessions"),
    ("tickets", "tickets"),
    ("tickets", "reservations"),
    ("orders", "orders"),
    ("expiration", "schedules"),
    ("payments", "payments"),
];
