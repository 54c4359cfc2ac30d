//! Mistakes that are planted, each around a call of a service's function or in what the model plays.

/// What is taken out, or done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Two live orders of a ticket can be stored.
    NoUniqueIndex,
    /// Two orders can be stored that have had the same hold.
    NoHoldIndex,
    /// Stripe doesn't know a call that it has had.
    NoIdempotencyKey,
    /// Nobody hears `order.refund_required`.
    NoRefund,
    /// tickets forgets the end of an order that it hasn't heard of.
    NoTombstone,
    /// tickets follows orders by their versions alone.
    NoHoldNumber,
    /// An order doesn't know what it answered to its payment, and that it was refunded.
    ForgetfulOrder,
    /// payments calls a payment failed before Stripe has said that it can't succeed any more.
    FailedTooSoon,
    /// tickets says nothing to an order of a deleted ticket.
    CrossingUnanswered,
    /// orders writes down which version it has heard, and skips what it has, before it has acted on it.
    MarkFirst,
    /// The next hold is one more than the greatest first one.
    HoldsReused,
}
