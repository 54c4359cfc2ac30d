//! Mutations: mistakes that the model must detect.

/// What is removed, or done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A complete order is ended by any failure of its payment, also by one before the success that it has answered.
    FailedVersionIgnored,
    /// A success is answered although a newer failure was seen before.
    OlderSuccessAnswered,
    /// What is being cancelled becomes authorised if that becomes known later.
    CancellingNotSticky,
    /// The final outcomes of a payment are published once.
    OutcomesNotRepublished,
    /// They are published again until the order is seen to have ended, whenever that was.
    AnyEndSuffices,
    /// A failure doesn't settle the release that orders requires.
    FailedSettlesNothing,
    /// A refund that was asked for before the capture was known is forgotten.
    RefundForgotten,
    /// The end of an order releases what is authorised, although it is no answer.
    CancellationReleases,
    /// What is authorised is captured before orders has answered.
    CapturedBeforeAnswer,
    /// A refund of what is not known to be captured counts as a release at once.
    ReleasedTooSoon,
    /// The cancellation of a PaymentIntent is recorded before Stripe has confirmed it.
    CancelledTooSoon,
    /// A capture that has failed is assumed not to have happened: the payment is released.
    CaptureForgotten,
    /// Stripe doesn't recognize a repeated request.
    NoIdempotencyKey,
    /// `order.refund_required` is not consumed.
    NoRelease,
}
