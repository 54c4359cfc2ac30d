//! The parts of a payment's document.

use common::events::{self, CancelReason, OrderStatus};
use common::ids::{OrderId, PaymentId, UserId};
use common::money::Currency;
use common::{Money, Time};
use serde::{Deserialize, Serialize};

use super::{
    Action, AttemptNumber, CaptureNumber, CardToken, Dispute, IntentNumber, RefundNumber, Total,
    Version,
};

/// What payments needs of the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReplica {
    pub version: Version,
    pub buyer_id: UserId,
    pub seller_id: UserId,
    pub status: OrderStatus,
    pub cancel_reason: Option<CancelReason>,
    pub amount: Money,
    pub currency: Currency,
    pub expires_at: Time,
    /// The version of the payment that orders has seen.
    #[serde(default)]
    pub payment_version: Option<Version>,
}

/// The order's one payment, and its one PaymentIntent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    pub created_at: Time,
    pub status: Status,
    /// Stripe's PaymentIntent (`pi_…`), stored before it is confirmed; no other one is ever confirmed.
    pub intent: Option<String>,
    #[serde(rename = "intentKey")]
    pub intent_number: IntentNumber,
    /// The attempt in progress: never two at once.
    pub attempt: Option<Attempt>,
    /// The number of the newest attempt.
    #[serde(rename = "attemptKey")]
    pub last_attempt: AttemptNumber,
    pub declines: i64,
    pub last_decline: Option<String>,
    /// When cards were declined: those of all of a buyer's orders are counted. (Older documents have none.)
    #[serde(default)]
    pub declined_at: Vec<Time>,
    /// The newest of Stripe's charges (`ch_…`) whose decline is recorded: a different one is a new decline.
    pub last_charge: Option<String>,
    /// It was decided that the PaymentIntent is cancelled, which is written before that is sent and never revised: what
    /// is being cancelled never becomes authorised.
    #[serde(default)]
    pub cancelling: bool,
    /// Stripe has said that the PaymentIntent is cancelled.
    #[serde(default)]
    pub cancelled: bool,
    #[serde(default)]
    pub capture: Capture,
    /// The seller's request for a refund; the first one counts.
    #[serde(default)]
    pub refund_asked: Option<RefundAsked>,
    /// orders can't honour the payment.
    #[serde(default)]
    pub rejected: bool,
    pub refund: Option<Refund>,
    /// The sum of its succeeded refunds, as far as it is known, before all of it is refunded.
    #[serde(default = "nothing")]
    pub amount_refunded: Money,
    /// The newest dispute of the charge.
    #[serde(default)]
    pub dispute: Option<Dispute>,
    /// The version of the document in which the newest event was published. (None of the previous version.)
    #[serde(default)]
    pub event_version: Option<Version>,
    /// An operator has declared what can't succeed at Stripe as settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Created,
    /// An attempt is in progress.
    Processing,
    /// The buyer's bank asks the buyer (3-D Secure).
    ActionRequired,
    /// The money is reserved on the card, and orders decides.
    Authorised,
    /// The card was charged.
    #[serde(rename = "completed")]
    Captured,
    Refunding,
    Refunded,
    /// What was authorised was not captured, and nobody is charged.
    Released,
    Failed,
    /// The cardholder's bank has taken the charge back.
    ChargedBack,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Status {
    /// As the API spells it. That the money is authorised is internal.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Processing | Status::Authorised => "processing",
            Status::ActionRequired => "action_required",
            Status::Captured => "completed",
            Status::Refunding => "refunding",
            Status::Refunded => "refunded",
            Status::Released => "released",
            Status::ChargedBack => "charged_back",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
        }
    }
}

/// One attempt to authorise one card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    #[serde(rename = "key")]
    pub number: AttemptNumber,
    pub token: CardToken,
    /// Stripe's PaymentMethod (`pm_…`).
    pub method: Option<String>,
    /// Written before the confirmation is sent: from then on its outcome is unknown until Stripe reports it.
    pub sent: bool,
    /// Stripe failed under this number, and would repeat that response for a day: retrieve the PaymentIntent first.
    #[serde(rename = "ask")]
    pub outcome_unknown: bool,
    /// What the buyer's bank asks for.
    #[serde(default)]
    pub action: Option<Action>,
}

/// The capture of what is authorised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capture {
    pub number: CaptureNumber,
    /// As for an attempt: retrieve the PaymentIntent before another capture is sent.
    pub outcome_unknown: bool,
}

/// What an operator has declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    pub reason: String,
    pub at: Time,
}

/// The seller refunds the buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundAsked {
    /// Whether the order's places go back on sale.
    pub relist: bool,
}

/// The refund of the whole payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    #[serde(rename = "key")]
    pub number: RefundNumber,
    /// As for an attempt: retrieve the existing refunds before another one is created.
    #[serde(rename = "ask")]
    pub outcome_unknown: bool,
    /// The amount under this number: what had not been refunded yet. None, in older documents: whatever Stripe has not
    /// refunded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Whether the order's places go back on sale; in older documents they do.
    #[serde(default = "always")]
    pub relist: bool,
    /// Stripe's newest refund (`re_…`), once all of the payment is refunded.
    pub stripe_id: Option<String>,
}

fn always() -> bool {
    true
}

fn nothing() -> Money {
    Money::from_minor(0)
}

impl Payment {
    /// Of an order that has none. Its id is the order's: a database that was restored, and has lost the payment, gives it
    /// the id by which the others know it, and its idempotency keys.
    pub(super) fn new(order: OrderId, now: Time) -> Payment {
        Payment {
            id: PaymentId::from_bytes(order.to_bytes()),
            created_at: now,
            status: Status::Created,
            intent: None,
            intent_number: IntentNumber::FIRST,
            attempt: None,
            last_attempt: AttemptNumber::NONE,
            declines: 0,
            last_decline: None,
            declined_at: Vec::new(),
            last_charge: None,
            cancelling: false,
            cancelled: false,
            capture: Capture::default(),
            refund_asked: None,
            rejected: false,
            refund: None,
            amount_refunded: nothing(),
            dispute: None,
            event_version: None,
            settled: None,
        }
    }
}

impl OrderReplica {
    /// What the order's payment charges.
    pub fn total(&self) -> Total {
        Total { amount: self.amount, currency: self.currency.clone() }
    }

    pub(super) fn of(order: &events::Order) -> OrderReplica {
        OrderReplica {
            version: Version::from(order.version),
            buyer_id: order.user_id,
            seller_id: order.ticket.user_id,
            status: order.status,
            cancel_reason: order.cancel_reason,
            amount: order.total,
            currency: order.ticket.listing.currency.clone(),
            expires_at: order.expires_at,
            payment_version: order.payment_version.map(Version::from),
        }
    }
}
