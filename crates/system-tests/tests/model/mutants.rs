//! Mutations: mistakes around the call of a service's function, or in the environment.

/// What is removed, or done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Two live orders of a ticket can be stored.
    NoUniqueIndex,
    /// Two orders can be stored with the same hold number.
    NoHoldIndex,
    /// Stripe doesn't recognize a repeated request.
    NoIdempotencyKey,
    /// `order.refund_required` is not consumed.
    NoRefund,
    /// tickets ignores the cancellation of an unknown order.
    NoTombstone,
    /// tickets compares orders by their versions alone.
    NoHoldNumber,
    /// An order doesn't record how it handled its payment, and that it was refunded.
    ForgetfulOrder,
    /// payments declares a payment failed before Stripe has confirmed that it can't succeed.
    FailedTooSoon,
    /// tickets publishes nothing for an order of a deleted ticket.
    CrossingUnanswered,
    /// orders records the version of a message before its effects, and skips recorded versions.
    MarkFirst,
    /// The next hold number is one more than the greatest first one.
    HoldsReused,
}
