//! A payment as the API shows it.

use common::Time;
use common::ids::{OrderId, PaymentId};
use common::money::{self, Currency, Money};
use serde::Serialize;

use crate::domain::{Limits, OrderPayment, Status, Version};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView {
    id: PaymentId,
    order_id: OrderId,
    status: &'static str,
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
    pub version: Version,
    created_at: Time,
}

impl PaymentView {
    /// The payment's URL.
    pub fn location(&self) -> String {
        format!("/api/payments/{}", self.id)
    }

    /// The payment as it was when it got this status, in this version. In such a version nothing was refunded, and no
    /// more cards could be tried.
    pub fn at(payment: OrderPayment, status: Status, version: Version) -> Option<Self> {
        let view = PaymentView::of(payment, Limits { max_declines: 0 })?;
        Some(PaymentView { status: status.as_str(), version, stripe_refund_id: None, ..view })
    }

    /// None: the buyer hasn't tried to pay yet.
    pub fn of(order_payment: OrderPayment, limits: Limits) -> Option<Self> {
        let payment = order_payment.payment?;
        Some(PaymentView {
            id: payment.id,
            order_id: order_payment.order_id,
            status: payment.status.as_str(),
            amount: order_payment.order.amount,
            currency: order_payment.order.currency,
            declines: payment.declines,
            decline_code: payment.last_decline,
            attempts_left: match payment.status {
                Status::Created | Status::Processing => limits.attempts_left(payment.declines),
                Status::Completed
                | Status::Refunding
                | Status::Refunded
                | Status::Failed
                | Status::Unknown => 0,
            },
            stripe_id: payment.intent,
            stripe_refund_id: payment.refund.and_then(|refund| refund.stripe_id),
            version: order_payment.version,
            created_at: payment.created_at,
        })
    }
}
