//! What a payment's document is made of.

use common::events::{self, CancelReason, OrderStatus};
use common::ids::{PaymentId, UserId};
use common::money::Currency;
use common::{Money, Time};
use serde::{Deserialize, Serialize};

/// The replica of the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub version: i64,
    pub buyer_id: UserId,
    pub seller_id: UserId,
    pub status: OrderStatus,
    pub cancel_reason: Option<CancelReason>,
    pub amount: Money,
    pub currency: Currency,
    pub expires_at: Time,
}

/// One payment, one PaymentIntent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    pub id: PaymentId,
    pub created_at: Time,
    pub status: Status,
    /// Stripe's PaymentIntent (`pi_…`), stored before it is confirmed; only this one ever is.
    pub intent: Option<String>,
    /// The number in the idempotency key that it is made under.
    pub intent_key: i64,
    /// The attempt under way: never two at once.
    pub attempt: Option<Attempt>,
    /// The number in the newest attempt's idempotency key.
    pub attempt_key: i64,
    pub declines: i64,
    pub last_decline: Option<String>,
    /// The newest of Stripe's charges (`ch_…`) that we have seen declined: another one is news.
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
}

/// One try with one card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The number in its idempotency key.
    pub key: i64,
    /// What the buyer's browser got for the card.
    pub token: String,
    /// Stripe's PaymentMethod (`pm_…`).
    pub method: Option<String>,
    /// Written before the confirmation is sent: from then on its outcome is unknown until Stripe says.
    pub sent: bool,
    /// Stripe failed under this key, and would repeat that for a day: ask what became of it first.
    pub ask: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// The number in its idempotency key.
    pub key: i64,
    /// As for an attempt: look at the refunds that there are before another is made.
    pub ask: bool,
    /// Stripe's refund (`re_…`), once it has succeeded.
    pub stripe_id: Option<String>,
}

impl Charge {
    /// orders has heard of a refund that this database has lost (it was restored), or has lost the order
    /// itself: the charge is given back. Stripe is asked first whether it was.
    pub(super) fn recall_refund(&mut self) {
        match self.status {
            Status::Completed => {
                self.status = Status::Refunding;
                self.refund = Some(Refund { key: 1, ask: true, stripe_id: None });
            }
            Status::Created
            | Status::Processing
            | Status::Refunding
            | Status::Refunded
            | Status::Failed => {}
        }
    }
}

impl Order {
    pub(super) fn of(order: &events::Order) -> Order {
        Order {
            version: order.version,
            buyer_id: order.user_id,
            seller_id: order.ticket.user_id,
            status: order.status,
            cancel_reason: order.cancel_reason,
            amount: order.ticket.listing.price,
            currency: order.ticket.listing.currency.clone(),
            expires_at: order.expires_at,
        }
    }
}
