//! The parts of a payment's document.

use common::events::{self, CancelReason, OrderStatus};
use common::ids::{PaymentId, UserId};
use common::money::Currency;
use common::{Money, Time};
use serde::{Deserialize, Serialize};

use super::{AttemptNumber, CardToken, IntentNumber, RefundNumber, Total, Version};

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
    /// The newest of Stripe's charges (`ch_…`) whose decline is recorded: a different one is a new decline.
    pub last_charge: Option<String>,
    pub refund: Option<Refund>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Created,
    Processing,
    Completed,
    Refunding,
    Refunded,
    Failed,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Status {
    /// As the API, events and documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Processing => "processing",
            Status::Completed => "completed",
            Status::Refunding => "refunding",
            Status::Refunded => "refunded",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
        }
    }
}

/// One attempt to charge one card.
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
        }
    }
}
