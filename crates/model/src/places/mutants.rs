//! Mutations: mistakes that the model must detect.

/// What is removed, or done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The unique index on the places is missing.
    NoPlaceIndex,
    /// The unique index is on the listing alone, without the places.
    IndexWithoutPlaces,
    /// An order takes what is free, even if that is less than its buyer has asked for.
    FewerPlaces,
    /// The seller may take places away.
    QuantityShrinks,
    /// A late payment completes its order with the places that it had, past the index.
    LateWithoutIndex,
    /// A refund always puts the places back on sale.
    AlwaysRelisted,
    /// `order.refund_required` is not consumed.
    NoRefund,
    /// An order doesn't record how it handled its payment, and that it was refunded.
    ForgetfulOrder,
    /// tickets ignores the cancellation of an unknown order.
    NoTombstone,
    /// tickets applies what arrives, whatever its version.
    AppliedByArrival,
    /// tickets publishes nothing for an order of a deleted listing.
    CrossingUnanswered,
    /// orders records the version of a message before its effects, and skips recorded versions.
    MarkFirst,
    /// The seller's request to delete trusts the summary, and doesn't read the reservations.
    SummaryTrusted,
    /// The seller's request to delete isn't guarded against reservations that were written since it has read them.
    DeleteUnguarded,
    /// The summary is written whatever was marked or summarised meanwhile.
    SummaryUnguarded,
    /// The mark is a flag: that one is set doesn't mean that it is the same.
    MarkIsFlag,
    /// The summary that a consumer has computed itself is no mark.
    ConsumerDoesNotMark,
    /// A consumer computes the summary from what it has read before it wrote its own reservation.
    OwnReservationNotAdded,
    /// A change is marked after its message was acknowledged.
    MarkedTooLate,
    /// The unique index on the buyer's slots is missing.
    NoSlotIndex,
    /// The end of an order doesn't free its slot.
    SlotNotFreed,
}
