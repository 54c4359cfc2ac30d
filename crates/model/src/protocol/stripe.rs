//! What Stripe says.

/// A PaymentIntent, with manual capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intent {
    pub status: IntentStatus,
    /// How often a card was tried.
    pub charges: u8,
    /// The last of them was declined.
    pub is_declined: bool,
    /// All that was captured is refunded.
    pub is_refunded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntentStatus {
    RequiresPaymentMethod,
    RequiresAction,
    RequiresCapture,
    Succeeded,
    Canceled,
}

/// The response to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// The id of a new PaymentIntent.
    Created(u8),
    /// The PaymentIntent, as it is.
    Intent(Intent),
    Declined {
        charges: u8,
    },
    /// An error, or a refusal: what has happened is unknown.
    Failed,
}
