//! Stripe's results, in the domain's terms. The gateway translates into them.

use common::Money;
use common::events::DisputeStatus;
use common::money::Currency;
use serde::{Deserialize, Serialize};

/// A PaymentIntent's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// The card was charged, and so much of it is refunded.
    Succeeded(Refunds),
    Canceled,
    /// The money is reserved on the card.
    RequiresCapture,
    /// The buyer's bank asks the buyer.
    RequiresAction(Action),
    /// Nothing is authorised. The newest charge that was tried on it, and why that one was declined.
    RequiresPaymentMethod {
        last_charge: Option<String>,
        decline_code: Option<String>,
    },
    /// Not decided yet.
    Processing,
}

/// What the buyer has to do for their bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// With it the buyer's browser continues the payment (Stripe.js).
    pub client_secret: String,
    /// The bank's page.
    pub redirect_url: Option<String>,
}

/// A dispute of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dispute {
    /// Stripe's (`dp_…`).
    pub stripe_id: String,
    pub amount: Money,
    pub status: DisputeStatus,
    /// Whether the charge can be refunded nevertheless: it is only an inquiry.
    pub is_refundable: bool,
}

/// A refund's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// The amount is in the payment's currency: the gateway has compared it.
    Succeeded {
        id: String,
        amount: Money,
    },
    /// Not decided yet.
    Pending,
    Failed,
}

/// All refunds of a PaymentIntent: ours, and those that were made in Stripe's dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunds {
    /// The sum of those that have succeeded.
    pub succeeded: Money,
    /// The newest of those.
    pub newest: Option<String>,
    /// Whether one is not decided yet.
    pub is_pending: bool,
}

impl Refunds {
    pub const NONE: Refunds =
        Refunds { succeeded: Money::from_minor(0), newest: None, is_pending: false };
}

/// What a payment charges. Every object that Stripe returns is compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    pub amount: Money,
    pub currency: Currency,
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
    /// The object's amount or currency is not the payment's. It is no success, whatever its status: an operator has to
    /// look, and the object is retrieved again later.
    #[error("not the payment's amount or currency: {0}")]
    Mismatch(String),
}

/// The result of a call to Stripe.
pub type StripeResult<T> = Result<T, GatewayError>;
