//! Why the domain refuses. `routes/errors.rs` maps these to problems.

use std::time::Duration;

use store::KeyReusedError;

/// Why a payment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRefusal {
    #[error(transparent)]
    KeyReused(#[from] KeyReusedError),
    #[error("a payment is in progress")]
    InProgress,
    #[error("the order is already paid")]
    AlreadyPaid,
    #[error("the payment is refunded")]
    Refunded,
    #[error("too many cards were declined")]
    TooManyDeclines,
    /// Of all of the buyer's orders, within a day.
    #[error("the buyer has tried too many cards")]
    TooManyCards(Duration),
    #[error("the order has expired")]
    OrderExpired,
    #[error("the order is cancelled")]
    OrderCancelled,
    /// What was authorised is released, or could not be captured.
    #[error("the order could not be completed, and nothing was charged")]
    NotHonoured,
}

/// Why a refund is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundRefusal {
    #[error(transparent)]
    KeyReused(#[from] KeyReusedError),
    #[error("nothing was paid, or a refund has begun")]
    NotRefundable,
    #[error("the cardholder's bank disputes the charge")]
    Disputed,
}

/// orders requires the refund of a payment that this database doesn't contain, or not as authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not known to be authorised")]
pub struct NotPaid;
