//! A payment as the API shows it.

use common::Time;
use common::ids::{OrderId, PaymentId};
use common::money::{self, Currency, Money};
use serde::Serialize;

use crate::domain::{Payment, Status};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView {
    id: PaymentId,
    order_id: OrderId,
    status: Status,
    #[serde(serialize_with = "money::as_decimal")]
    amount: Money,
    currency: Currency,
    declines: i64,
    /// Why the last card was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<String>,
    /// How many more cards may be tried.
    attempts_left: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_refund_id: Option<String>,
    pub version: i64,
    created_at: Time,
}

impl PaymentView {
    /// Where the payment is to be seen.
    pub fn location(&self) -> String {
        format!("/api/payments/{}", self.id)
    }

    /// The payment as it was when it came into this state, in this version: one in which nothing had been
    /// given back, and no more cards were to be tried.
    pub fn at(payment: Payment, status: Status, version: i64) -> Option<Self> {
        let view = PaymentView::of(payment, 0)?;
        Some(PaymentView { status, version, stripe_refund_id: None, ..view })
    }

    /// None: nothing has been paid or tried yet. `attempts` is how many declines end an order.
    pub fn of(payment: Payment, attempts: i64) -> Option<Self> {
        let charge = payment.charge?;
        Some(PaymentView {
            id: charge.id,
            order_id: payment.order_id,
            status: charge.status,
            amount: payment.order.amount,
            currency: payment.order.currency,
            declines: charge.declines,
            decline_code: charge.last_decline,
            attempts_left: match charge.status {
                Status::Created | Status::Processing => (attempts - charge.declines).max(0),
                Status::Completed | Status::Refunding | Status::Refunded | Status::Failed => 0,
            },
            stripe_id: charge.intent,
            stripe_refund_id: charge.refund.and_then(|refund| refund.stripe_id),
            version: payment.version,
            created_at: charge.created_at,
        })
    }
}
