//! A payment as the API shows it.

use std::borrow::Cow;

use common::Time;
use common::events::DisputeStatus;
use common::ids::{OrderId, PaymentId, UserId};
use common::money::{self, Currency, Money};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::{Limits, OrderPayment, Status, Version};

/// A payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Payment)]
pub struct PaymentView {
    id: PaymentId,
    order_id: OrderId,
    #[schema(value_type = Status)]
    status: &'static str,
    #[serde(serialize_with = "money::as_decimal")]
    amount: Money,
    /// How much of it is refunded.
    #[serde(serialize_with = "money::as_decimal")]
    amount_refunded: Money,
    currency: Currency,
    /// How many cards were declined.
    #[schema(example = 0)]
    declines: i64,
    /// Why the last card was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<String>,
    /// How many more cards may be tried.
    #[schema(example = 3)]
    attempts_left: i64,
    /// The PaymentIntent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "pi_3PqT2L…")]
    stripe_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_refund_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispute: Option<DisputeView>,
    /// With it the buyer's browser continues the payment (Stripe.js).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// The page of the buyer's bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
    #[schema(value_type = i64)]
    pub version: Version,
    created_at: Time,
}

/// The newest dispute of the charge.
#[derive(Serialize, ToSchema)]
#[schema(as = Dispute)]
struct DisputeView {
    id: String,
    #[schema(value_type = DisputeStatus)]
    status: &'static str,
    #[serde(serialize_with = "money::as_decimal")]
    amount: Money,
}

/// As [`Status::as_str`] spells it.
impl PartialSchema for Status {
    fn schema() -> RefOr<Schema> {
        let names = [
            Status::Created,
            Status::Processing,
            Status::ActionRequired,
            Status::Captured,
            Status::Refunding,
            Status::Refunded,
            Status::Released,
            Status::Failed,
            Status::ChargedBack,
        ];
        let names = names.map(Status::as_str);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
    }
}

impl ToSchema for Status {
    fn name() -> Cow<'static, str> {
        "PaymentStatus".into()
    }
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
        Some(PaymentView {
            status: status.as_str(),
            amount_refunded: Money::from_minor(0),
            version,
            stripe_refund_id: None,
            dispute: None,
            client_secret: None,
            redirect_url: None,
            ..view
        })
    }

    /// As its payer sees it: with what their bank asks for.
    pub fn for_payer(payment: OrderPayment, limits: Limits) -> Option<Self> {
        let (client_secret, redirect_url) = match payment.action() {
            Some(action) => (Some(action.client_secret.clone()), action.redirect_url.clone()),
            None => (None, None),
        };
        let view = PaymentView::of(payment, limits)?;
        Some(PaymentView { client_secret, redirect_url, ..view })
    }

    /// As this user sees it.
    pub fn for_user(user: UserId, payment: OrderPayment, limits: Limits) -> Option<Self> {
        if user == payment.order.buyer_id {
            PaymentView::for_payer(payment, limits)
        } else {
            PaymentView::of(payment, limits)
        }
    }

    /// None: the buyer hasn't tried to pay yet.
    pub fn of(order_payment: OrderPayment, limits: Limits) -> Option<Self> {
        let payment = order_payment.payment?;
        Some(PaymentView {
            id: payment.id,
            order_id: order_payment.order_id,
            status: payment.status.as_str(),
            amount: order_payment.order.amount,
            amount_refunded: match payment.status {
                // (The previous version didn't count.)
                Status::Refunded => order_payment.order.amount,
                Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Authorised
                | Status::Captured
                | Status::Refunding
                | Status::Released
                | Status::Failed
                | Status::ChargedBack
                | Status::Unknown => payment.amount_refunded,
            },
            currency: order_payment.order.currency,
            declines: payment.declines,
            decline_code: payment.last_decline,
            attempts_left: match payment.status {
                Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Authorised => limits.attempts_left(payment.declines),
                Status::Captured
                | Status::Released
                | Status::Refunding
                | Status::Refunded
                | Status::Failed
                | Status::ChargedBack
                | Status::Unknown => 0,
            },
            stripe_id: payment.intent,
            stripe_refund_id: payment.refund.and_then(|refund| refund.stripe_id),
            dispute: payment.dispute.map(|dispute| DisputeView {
                id: dispute.stripe_id,
                status: dispute.status.as_str(),
                amount: dispute.amount,
            }),
            client_secret: None,
            redirect_url: None,
            version: order_payment.version,
            created_at: payment.created_at,
        })
    }
}
