//! Stripe's results, in the domain's terms. The gateway translates into them.

/// A PaymentIntent's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentState {
    Succeeded,
    Canceled,
    /// Nothing is charged. The newest charge that was tried on it, and why that one was declined.
    RequiresPaymentMethod {
        last_charge: Option<String>,
        decline_code: Option<String>,
    },
    /// Not decided yet.
    Processing,
}

/// A refund's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    Succeeded {
        id: String,
    },
    /// Not decided yet.
    Pending,
    Failed,
}

/// Why a call to Stripe has no such result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The card was declined: `code` is the decline code.
    #[error("declined: {code}")]
    Declined { code: String, charge: Option<String> },
    /// Stripe refused the request (4xx): it had no effect.
    #[error("refused: {message}")]
    Refused {
        code: Option<String>,
        /// Whether it was refused because of the PaymentMethod, and not because of the PaymentIntent's state.
        invalid_payment_method: bool,
        message: String,
    },
    /// Stripe failed after it had accepted the request, and would repeat that response under the same key: retrieve the
    /// object.
    #[error("failed at Stripe: {0}")]
    Failed(String),
    /// No readable response: send the request again under the same key, or retrieve the object.
    #[error("unknown: {0}")]
    Unknown(String),
}

/// The result of a call to Stripe.
pub type StripeResult<T> = Result<T, GatewayError>;
