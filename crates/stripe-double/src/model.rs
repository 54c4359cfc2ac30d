//! The objects that Stripe stores, and their transitions. No HTTP, no clock, no storage.

mod confirmation_token;
mod dispute;
mod webhooks;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cards::{self, Behaviour, Card};

pub use confirmation_token::ConfirmationToken;
pub use dispute::{Dispute, DisputeStatus};
pub use webhooks::{Attempt, Delivery, DeliveryState, Event, EventRequest, Form, WebhookEndpoint};

pub type Metadata = BTreeMap<String, String>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaymentMethod {
    pub id: String,
    pub created: u64,
    /// The number of a test card, never of a real one.
    pub number: String,
    pub exp_month: i64,
    pub exp_year: i64,
    pub cvc_given: bool,
    pub billing_details: BillingDetails,
    pub metadata: Metadata,
    /// It has paid. Without a customer it can't be used again.
    pub used: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BillingDetails {
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
}

impl PaymentMethod {
    /// None only if the journal was written with another table of cards.
    pub fn card(&self) -> Option<&'static Card> {
        cards::by_number(&self.number)
    }

    pub fn behaviour(&self) -> Behaviour {
        self.card().map_or(Behaviour::Pays, |card| card.behaviour)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// Stripe cancels from `processing` only payments that aren't by card.
    pub fn may_be_canceled(self) -> bool {
        match self {
            Self::RequiresPaymentMethod
            | Self::RequiresConfirmation
            | Self::RequiresAction
            | Self::RequiresCapture => true,
            Self::Processing | Self::Succeeded | Self::Canceled => false,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaymentIntent {
    pub id: String,
    pub created: u64,
    pub amount: i64,
    pub currency: String,
    pub status: IntentStatus,
    pub client_secret: String,
    pub capture_method: String,
    pub payment_method: Option<String>,
    pub payment_method_types: Vec<String>,
    /// Whether redirect-based methods are possible: then a confirmation needs a `return_url`.
    pub automatic_payment_methods: Option<AllowRedirects>,
    pub description: Option<String>,
    pub receipt_email: Option<String>,
    pub metadata: Metadata,
    pub canceled_at: Option<u64>,
    pub cancellation_reason: Option<String>,
    pub last_payment_error: Option<Map<String, Value>>,
    pub next_action: Option<Value>,
    /// The 3-D Secure challenge that is open.
    #[serde(default)]
    pub challenge: Option<Challenge>,
    /// Every attempt, oldest first.
    pub charges: Vec<String>,
}

/// Where the buyer proves to the bank that the card is theirs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// Whoever knows it can respond to the challenge.
    pub secret: String,
    /// Where the buyer returns to; without one, the challenge is a frame in the page.
    pub return_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowRedirects {
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeStatus {
    Succeeded,
    Failed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Charge {
    pub id: String,
    pub created: u64,
    pub amount: i64,
    pub currency: String,
    pub status: ChargeStatus,
    pub payment_intent: String,
    pub payment_method: String,
    pub description: Option<String>,
    pub receipt_email: Option<String>,
    /// The intent's, at the time of the charge.
    pub metadata: Metadata,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub decline_code: Option<String>,
    #[serde(default)]
    pub capture: Capture,
    pub refunds: Vec<String>,
    #[serde(default)]
    pub disputes: Vec<String>,
    /// When the buyer will dispute it: the card is one of those.
    #[serde(default)]
    pub disputed_at_ms: Option<u64>,
    /// The buyer has completed a 3-D Secure challenge for it.
    #[serde(default)]
    pub is_authenticated: bool,
}

/// What became of the authorised amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Captured in full with the charge: `capture_method` is automatic.
    #[default]
    Immediate,
    /// Authorised; it expires at this time.
    Awaited { until_ms: u64 },
    /// Captured later; the remainder of the authorisation was released.
    Captured { amount: i64 },
    /// Canceled or expired: nothing was captured.
    Released,
}

impl Charge {
    pub fn is_captured(&self) -> bool {
        self.amount_captured() > 0
    }

    pub fn amount_captured(&self) -> i64 {
        match (self.status, self.capture) {
            (ChargeStatus::Succeeded, Capture::Immediate) => self.amount,
            (ChargeStatus::Succeeded, Capture::Captured { amount }) => amount,
            (ChargeStatus::Succeeded, Capture::Awaited { .. } | Capture::Released)
            | (ChargeStatus::Failed, _) => 0,
        }
    }

    /// When it changes without a request.
    pub fn due_ms(&self) -> Option<u64> {
        self.capture_before_ms().or(self.disputed_at_ms)
    }

    /// When the authorisation expires, if it is still open.
    pub fn capture_before_ms(&self) -> Option<u64> {
        match (self.status, self.capture) {
            (ChargeStatus::Succeeded, Capture::Awaited { until_ms }) => Some(until_ms),
            (
                ChargeStatus::Succeeded,
                Capture::Immediate | Capture::Captured { .. } | Capture::Released,
            )
            | (ChargeStatus::Failed, _) => None,
        }
    }
}

/// How a refund proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundCourse {
    Succeeds,
    PendsUntil { ms: u64 },
    FailsAt { ms: u64 },
    Fails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub created: u64,
    pub amount: i64,
    pub currency: String,
    pub charge: String,
    pub payment_intent: String,
    pub reason: Option<String>,
    pub metadata: Metadata,
    pub course: RefundCourse,
}

impl Refund {
    pub fn status(&self) -> RefundStatus {
        match self.course {
            RefundCourse::Succeeds | RefundCourse::FailsAt { .. } => RefundStatus::Succeeded,
            RefundCourse::PendsUntil { .. } => RefundStatus::Pending,
            RefundCourse::Fails => RefundStatus::Failed,
        }
    }

    /// When its status changes without a request, and how the refund proceeds from then on.
    pub fn due(&self) -> Option<(u64, RefundCourse)> {
        match self.course {
            RefundCourse::PendsUntil { ms } => Some((ms, RefundCourse::Succeeds)),
            RefundCourse::FailsAt { ms } => Some((ms, RefundCourse::Fails)),
            RefundCourse::Succeeds | RefundCourse::Fails => None,
        }
    }

    /// The amount that counts against its charge: nothing once it has failed.
    pub fn counted(&self) -> i64 {
        match self.status() {
            RefundStatus::Pending | RefundStatus::Succeeded => self.amount,
            RefundStatus::Failed => 0,
        }
    }
}
