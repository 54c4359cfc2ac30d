//! The gateway to Stripe. No other module uses the client library.
//!
//! Each write has an idempotency key of ours. The client library doesn't retry: its own retries would use a new key each
//! time. Every call has a timeout.

use std::time::Duration;

use anyhow::Context;
use common::events::DisputeStatus;
use common::ids::{OrderId, PaymentId};
use common::{Money, Time};
use futures::FutureExt;
use futures::future::BoxFuture;
use miniserde::json::Value;
use stripe::{
    ApiErrors, ApiErrorsType, Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError,
    StripeRequest,
};
use stripe_core::dispute::ListDispute;
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::{
    CancelPaymentIntent, CapturePaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent,
    ListPaymentIntent, RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_core::{
    PaymentIntent, PaymentIntentAllowedPaymentMethodTypes, PaymentIntentCaptureMethod,
    PaymentIntentStatus,
};
use stripe_payment::payment_method::{
    CreatePaymentMethod, CreatePaymentMethodCard, CreatePaymentMethodTokenParams,
    CreatePaymentMethodType,
};
use stripe_types::{RangeBoundsTs, RangeQueryTs};
use telemetry::spans;
use tracing::Instrument;
use url::Url;

use crate::domain::{
    Action, AttemptNumber, CaptureNumber, CardToken, Dispute, GatewayError, IntentNumber,
    IntentState, RefundNumber, RefundState, Refunds, StripeResult, Total,
};

/// How long one call may take. A payment needs up to three, and is responded to after ten seconds.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The metadata that name the order of a PaymentIntent.
const ORDER: &str = "order_id";

/// The most that Stripe lists at once.
const PER_PAGE: i64 = 100;

/// A PaymentIntent in the list.
#[derive(Clone, Debug)]
pub struct ListedIntent {
    pub id: String,
    pub order: OrderId,
    pub total: Total,
}

/// The events that report what may have happened without us: those for which Stripe is to send webhooks
/// (docs/operating.md), by their whole names, of which Stripe takes up to twenty.
const EVENTS: [&str; 13] = [
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
];

/// A page of the list of events.
#[derive(Clone, Debug)]
pub struct ListedEvents {
    /// The newest first.
    pub events: Vec<ListedEvent>,
    /// The last one on the page, if there are more.
    pub next: Option<String>,
}

/// An event in the list, as far as it matters.
#[derive(Clone, Debug)]
pub struct ListedEvent {
    pub id: String,
    pub kind: String,
    pub intent: Option<String>,
}

#[derive(Clone)]
pub struct Gateway {
    client: Client,
    server: Url,
}

impl Gateway {
    pub fn new(key: &str, url: &Url) -> anyhow::Result<Gateway> {
        let client = ClientBuilder::new(key)
            .url(url.as_str())
            .timeout(TIMEOUT)
            .request_strategy(RequestStrategy::Once)
            .build()
            .context("STRIPE_KEY, STRIPE_URL")?;
        Ok(Gateway { client, server: url.clone() })
    }

    /// Sends a request, in a span. (Stripe gets no `traceparent`: it isn't a part of the system.)
    ///
    /// In a box, as the client's futures are large: the steps of a payment, each of which has one, would overflow a stack.
    fn call<'a, T: 'a>(
        &'a self,
        method: &'static str,
        template: &'static str,
        request: impl Future<Output = Result<T, StripeError>> + Send + 'a,
    ) -> BoxFuture<'a, StripeResult<T>> {
        let request = request.boxed();
        Box::pin(async move {
            let host = self.server.host_str().unwrap_or_default();
            let span = spans::http_client(method, host, self.server.port(), template);
            let response = request.instrument(span.clone()).await;
            match &response {
                Ok(_) => spans::http_responded(&span, 200),
                Err(StripeError::Stripe(_, status)) => spans::http_responded(&span, *status),
                Err(StripeError::Timeout) => spans::fail(&span, "timeout"),
                Err(
                    StripeError::JSONDeserialize(_)
                    | StripeError::ClientError(_)
                    | StripeError::ConfigError(_),
                ) => spans::fail(&span, "no_response"),
            }
            response.map_err(error)
        })
    }

    /// Creates the order's PaymentIntent, for cards only. Returns its id.
    pub async fn create_intent(
        &self,
        order: OrderId,
        number: IntentNumber,
        total: &Total,
    ) -> StripeResult<String> {
        let currency: stripe_types::Currency =
            total.currency.as_str().parse().map_err(|_| GatewayError::Refused {
                code: None,
                invalid_payment_method: false,
                message: format!(
                    "Stripe's client library doesn't know the currency {}",
                    total.currency
                ),
            })?;
        let request = CreatePaymentIntent::new(total.amount.minor(), currency)
            .allowed_payment_method_types(vec![PaymentIntentAllowedPaymentMethodTypes::Card])
            .capture_method(PaymentIntentCaptureMethod::Manual)
            .metadata([(ORDER.to_owned(), order.to_string())]);
        let request =
            request.customize().request_strategy(with_key(&format!("pi:{order}:{number}"))?);
        let intent = self.call("POST", "/v1/payment_intents", request.send(&self.client)).await?;
        compare_intent(&intent, total)?;
        Ok(intent.id.to_string())
    }

    /// Exchanges a card token for a PaymentMethod. Returns its id.
    pub async fn create_payment_method(
        &self,
        order: OrderId,
        number: AttemptNumber,
        token: &CardToken,
    ) -> StripeResult<String> {
        let card = CreatePaymentMethodTokenParams { token: token.as_str().to_owned() };
        let request = CreatePaymentMethod::new()
            .type_(CreatePaymentMethodType::Card)
            .card(CreatePaymentMethodCard::TokenParams(card));
        let request =
            request.customize().request_strategy(with_key(&format!("pm:{order}:{number}"))?);
        let method = self.call("POST", "/v1/payment_methods", request.send(&self.client)).await?;
        Ok(method.id.to_string())
    }

    /// Reserves the money on the card.
    pub async fn confirm(
        &self,
        order: OrderId,
        number: AttemptNumber,
        intent: &str,
        method: &CardToken,
        return_url: &str,
        total: &Total,
    ) -> StripeResult<IntentState> {
        // With a return URL and without its SDK, Stripe names the bank's page, which works without JavaScript, too.
        let request =
            ConfirmPaymentIntent::new(intent).return_url(return_url).use_stripe_sdk(false);
        let request = if method.is_confirmation_token() {
            request.confirmation_token(method.as_str())
        } else {
            request.payment_method(method.as_str())
        };
        let request =
            request.customize().request_strategy(with_key(&format!("confirm:{order}:{number}"))?);
        intent_state(
            &self
                .call("POST", "/v1/payment_intents/{intent}/confirm", request.send(&self.client))
                .await?,
            total,
        )
    }

    /// The PaymentIntent, with what is refunded of it.
    pub async fn retrieve_intent(&self, intent: &str, total: &Total) -> StripeResult<IntentState> {
        let request = RetrievePaymentIntent::new(intent);
        match intent_state(
            &self.call("GET", "/v1/payment_intents/{intent}", request.send(&self.client)).await?,
            total,
        )? {
            IntentState::Succeeded(_) => {
                Ok(IntentState::Succeeded(self.retrieve_refunds(intent, total).await?))
            }
            state @ (IntentState::Canceled
            | IntentState::RequiresCapture
            | IntentState::RequiresAction(_)
            | IntentState::RequiresPaymentMethod { .. }
            | IntentState::Processing) => Ok(state),
        }
    }

    /// The PaymentIntents that were created since then and name an order, the newest first.
    pub async fn list_intents(&self, since: Time) -> StripeResult<Vec<ListedIntent>> {
        let mut listed = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let created = RangeQueryTs::gte(since.millis().div_euclid(1000));
            let mut request = ListPaymentIntent::new().created(created).limit(PER_PAGE);
            if let Some(last) = last.take() {
                request = request.starting_after(last);
            }
            let page = self.call("GET", "/v1/payment_intents", request.send(&self.client)).await?;
            listed.extend(page.data.iter().filter_map(listed_intent));
            last = page.data.last().map(|intent| intent.id.to_string());
            if !page.has_more || last.is_none() {
                return Ok(listed);
            }
        }
    }

    /// A page of the events between these times, after this event of the previous page.
    pub async fn list_events(
        &self,
        (from, to): (Time, Time),
        after: Option<String>,
    ) -> StripeResult<ListedEvents> {
        let seconds = |time: Time| time.millis().div_euclid(1000);
        let created = RangeBoundsTs {
            gte: Some(seconds(from)),
            lt: Some(seconds(to)),
            ..RangeBoundsTs::default()
        };
        let mut request = ListEvent::new()
            .types(EVENTS.map(str::to_owned))
            .created(RangeQueryTs::Bounds(created))
            .limit(PER_PAGE);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let page = self.call("GET", "/v1/events", request.send(&self.client)).await?;
        let last = page.data.last().map(|event| event.id.to_string());
        let listed = |event: &stripe_core::Event| ListedEvent {
            id: event.id.to_string(),
            kind: event.type_.to_string(),
            intent: intent_of(&event.data.object),
        };
        Ok(ListedEvents {
            events: page.data.iter().map(listed).collect(),
            next: last.filter(|_| page.has_more),
        })
    }

    /// Charges the card with what is authorised.
    pub async fn capture(
        &self,
        payment: PaymentId,
        number: CaptureNumber,
        intent: &str,
        total: &Total,
    ) -> StripeResult<IntentState> {
        let request = CapturePaymentIntent::new(intent);
        let request =
            request.customize().request_strategy(with_key(&format!("capture:{payment}:{number}"))?);
        intent_state(
            &self
                .call("POST", "/v1/payment_intents/{intent}/capture", request.send(&self.client))
                .await?,
            total,
        )
    }

    /// Cancels an uncaptured PaymentIntent permanently. Safe to repeat without a key: it names the object.
    pub async fn cancel_intent(&self, intent: &str, total: &Total) -> StripeResult<IntentState> {
        let request = CancelPaymentIntent::new(intent);
        intent_state(
            &self
                .call("POST", "/v1/payment_intents/{intent}/cancel", request.send(&self.client))
                .await?,
            total,
        )
    }

    /// Refunds this amount of the PaymentIntent; without one, all that is not refunded yet.
    pub async fn create_refund(
        &self,
        payment: PaymentId,
        number: RefundNumber,
        intent: &str,
        amount: Option<Money>,
        total: &Total,
    ) -> StripeResult<RefundState> {
        let mut request = CreateRefund::new().payment_intent(intent);
        if let Some(amount) = amount {
            request = request.amount(amount.minor());
        }
        let request =
            request.customize().request_strategy(with_key(&format!("refund:{payment}:{number}"))?);
        let refund = self.call("POST", "/v1/refunds", request.send(&self.client)).await?;
        let state = refund_state(&refund, total)?;
        match amount.filter(|amount| amount.minor() != refund.amount) {
            Some(requested) => Err(mismatch(format!(
                "refund {} is of {}, not {requested}",
                refund.id,
                Money::from_minor(refund.amount)
            ))),
            None => Ok(state),
        }
    }

    /// All disputes of a PaymentIntent, the oldest first.
    pub async fn retrieve_disputes(
        &self,
        intent: &str,
        total: &Total,
    ) -> StripeResult<Vec<Dispute>> {
        let request = ListDispute::new().payment_intent(intent).limit(PER_PAGE);
        let page = self.call("GET", "/v1/disputes", request.send(&self.client)).await?;
        for dispute in &page.data {
            if dispute.amount > total.amount.minor() || !has_currency(&dispute.currency, total) {
                let (id, amount) = (&dispute.id, Money::from_minor(dispute.amount));
                return Err(mismatch(format!("dispute {id} is of {amount} {}", dispute.currency)));
            }
        }
        Ok(page.data.iter().rev().map(dispute).collect())
    }

    /// All refunds of a PaymentIntent.
    pub async fn retrieve_refunds(&self, intent: &str, total: &Total) -> StripeResult<Refunds> {
        let mut refunds = Refunds::NONE;
        let mut sum: i64 = 0;
        let mut last: Option<String> = None;
        loop {
            let mut request = ListRefund::new().payment_intent(intent).limit(PER_PAGE);
            if let Some(last) = last.take() {
                request = request.starting_after(last);
            }
            let page = self.call("GET", "/v1/refunds", request.send(&self.client)).await?;
            // The newest come first.
            for refund in &page.data {
                match refund_state(refund, total)? {
                    RefundState::Succeeded { id, amount } => {
                        sum = sum.saturating_add(amount.minor());
                        refunds.newest.get_or_insert(id);
                    }
                    RefundState::Pending => refunds.is_pending = true,
                    RefundState::Failed => {}
                }
            }
            last = page.data.last().map(|refund| refund.id.to_string());
            if !page.has_more || last.is_none() {
                break;
            }
        }
        refunds.succeeded = Money::from_minor(sum);
        if refunds.succeeded > total.amount {
            let Total { amount, .. } = total;
            let message = format!("{} of {amount} are refunded on {intent}", refunds.succeeded);
            return Err(mismatch(message));
        }
        Ok(refunds)
    }
}

/// None: it isn't one of ours.
fn listed_intent(intent: &PaymentIntent) -> Option<ListedIntent> {
    Some(ListedIntent {
        id: intent.id.to_string(),
        order: intent.metadata.get(ORDER)?.parse().ok()?,
        total: Total {
            amount: Money::from_minor(intent.amount),
            currency: intent.currency.to_string().parse().ok()?,
        },
    })
}

/// The PaymentIntent that an event's object is, or belongs to: it may be of any version of the API.
fn intent_of(object: &Value) -> Option<String> {
    let Value::Object(object) = object else { return None };
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => Some(text.clone()),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_),
        )
        | None => None,
    };
    if text(object.get("object")).as_deref() == Some("payment_intent") {
        return text(object.get("id"));
    }
    match object.get("payment_intent") {
        Some(Value::Object(expanded)) => text(expanded.get("id")),
        id => text(id),
    }
}

/// <https://docs.stripe.com/api/disputes/object#dispute_object-status>
fn dispute(dispute: &stripe_core::Dispute) -> Dispute {
    use stripe_core::DisputeStatus as Stripes;
    let status = match dispute.status {
        Stripes::Won | Stripes::WarningClosed | Stripes::Prevented => DisputeStatus::Won,
        Stripes::Lost => DisputeStatus::Lost,
        Stripes::NeedsResponse
        | Stripes::UnderReview
        | Stripes::WarningNeedsResponse
        | Stripes::WarningUnderReview
        | Stripes::Unknown(_)
        | _ => DisputeStatus::Open,
    };
    Dispute {
        stripe_id: dispute.id.to_string(),
        amount: Money::from_minor(dispute.amount),
        status,
        is_refundable: dispute.is_charge_refundable,
    }
}

/// Sent once, under a key of ours.
fn with_key(key: &str) -> StripeResult<RequestStrategy> {
    let key = IdempotencyKey::new(key).map_err(|error| GatewayError::Unknown(error.to_string()))?;
    Ok(RequestStrategy::Idempotent(key))
}

fn intent_state(intent: &PaymentIntent, total: &Total) -> StripeResult<IntentState> {
    compare_intent(intent, total)?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
    Ok(match &intent.status {
        PaymentIntentStatus::Succeeded if intent.amount_received != total.amount.minor() => {
            let received = Money::from_minor(intent.amount_received);
            return Err(mismatch(format!("{} has received {received}", intent.id)));
        }
        PaymentIntentStatus::Succeeded => IntentState::Succeeded(Refunds::NONE),
        PaymentIntentStatus::Canceled => IntentState::Canceled,
        PaymentIntentStatus::Processing => IntentState::Processing,
        PaymentIntentStatus::RequiresCapture
            if intent.amount_capturable != total.amount.minor() =>
        {
            let capturable = Money::from_minor(intent.amount_capturable);
            return Err(mismatch(format!("{} has {capturable} to capture", intent.id)));
        }
        PaymentIntentStatus::RequiresCapture => IntentState::RequiresCapture,
        PaymentIntentStatus::RequiresAction => IntentState::RequiresAction(action(intent)),
        // It requires a card or a confirmation: nothing is authorised. Stripe may add such states.
        _ => IntentState::RequiresPaymentMethod {
            last_charge: intent.latest_charge.as_ref().map(|charge| charge.id().to_string()),
            decline_code: intent.last_payment_error.as_deref().map(decline_code),
        },
    })
}

fn action(intent: &PaymentIntent) -> Action {
    let redirect = intent.next_action.as_ref().and_then(|next| next.redirect_to_url.as_ref());
    Action {
        client_secret: intent.client_secret.clone().unwrap_or_default(),
        redirect_url: redirect.and_then(|redirect| redirect.url.clone()),
    }
}

fn compare_intent(intent: &PaymentIntent, total: &Total) -> StripeResult<()> {
    if intent.amount == total.amount.minor() && has_currency(&intent.currency, total) {
        return Ok(());
    }
    let amount = Money::from_minor(intent.amount);
    Err(mismatch(format!("{} is of {amount} {}", intent.id, intent.currency)))
}

fn refund_state(refund: &stripe_core::Refund, total: &Total) -> StripeResult<RefundState> {
    let amount = Money::from_minor(refund.amount);
    if refund.amount <= 0 || amount > total.amount || !has_currency(&refund.currency, total) {
        return Err(mismatch(format!("refund {} is of {amount} {}", refund.id, refund.currency)));
    }
    // <https://docs.stripe.com/api/refunds/object#refund_object-status>
    Ok(match refund.status.as_deref() {
        Some("succeeded") => RefundState::Succeeded { id: refund.id.to_string(), amount },
        Some("failed" | "canceled") => RefundState::Failed,
        Some(_) | None => RefundState::Pending,
    })
}

fn has_currency(currency: &stripe_types::Currency, total: &Total) -> bool {
    currency.to_string() == total.currency.as_str()
}

fn mismatch(what: String) -> GatewayError {
    metrics::counter!("stripe_mismatches_total").increment(1);
    tracing::error!(what, "Stripe returned another amount or currency than the payment's");
    GatewayError::Mismatch(what)
}

/// The issuer's reason, or Stripe's own code if the issuer gave none.
fn decline_code(error: &ApiErrors) -> String {
    error.decline_code.clone().or(code(error)).unwrap_or_else(|| "card_declined".to_owned())
}

fn code(error: &ApiErrors) -> Option<String> {
    error.code.as_ref().map(|code| code.as_str().to_owned())
}

/// <https://docs.stripe.com/error-low-level>
fn error(error: StripeError) -> GatewayError {
    match error {
        StripeError::Stripe(error, 402) if error.type_ == ApiErrorsType::CardError => {
            GatewayError::Declined { code: decline_code(&error), charge: error.charge.clone() }
        }
        // Our API key is refused (401, 403): an outage, and no fault of the request. Stripe doesn't save that, a key in use
        // (409) and too many requests (429) under the key; it does save a 5xx.
        StripeError::Stripe(error, status @ (401 | 403 | 409 | 429)) => {
            GatewayError::Unknown(describe(&error, status))
        }
        StripeError::Stripe(error, status) if status >= 500 => {
            GatewayError::Failed(describe(&error, status))
        }
        StripeError::Stripe(error, status) => refused(&error, status),
        // A response came but is unreadable; under the same key it would be the same again.
        StripeError::JSONDeserialize(error) => {
            GatewayError::Failed(format!("unreadable response: {error}"))
        }
        StripeError::ClientError(error) | StripeError::ConfigError(error) => {
            GatewayError::Unknown(error)
        }
        StripeError::Timeout => GatewayError::Unknown(format!("no response within {TIMEOUT:?}")),
    }
}

fn refused(error: &ApiErrors, status: u16) -> GatewayError {
    let code = code(error);
    // A refusal because of the PaymentIntent's state may name that parameter as well.
    let invalid_payment_method =
        matches!(error.param.as_deref(), Some("payment_method" | "confirmation_token"))
            && code.as_deref() != Some("payment_intent_unexpected_state");
    let message = error.message.clone().unwrap_or_else(|| describe(error, status));
    GatewayError::Refused { code, invalid_payment_method, message }
}

fn describe(error: &ApiErrors, status: u16) -> String {
    format!("{status} {}", error.message.as_deref().unwrap_or("without a message"))
}
