//! Stripe, behind what payments needs of it. The one place that knows async-stripe.
//!
//! Each write carries an idempotency key of ours; the client library never retries by itself (its own
//! retries make a new key each time). Every call has a time limit.

use std::time::Duration;

use anyhow::Context;
use common::Money;
use common::ids::{OrderId, PaymentId};
use common::money::Currency;
use stripe::{
    ApiErrors, ApiErrorsType, Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError,
    StripeRequest,
};
use stripe_core::payment_intent::{
    CancelPaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent, RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_core::{PaymentIntent, PaymentIntentAllowedPaymentMethodTypes, PaymentIntentStatus};
use stripe_payment::payment_method::{
    CreatePaymentMethod, CreatePaymentMethodCard, CreatePaymentMethodTokenParams,
    CreatePaymentMethodType,
};
use url::Url;

/// How long one call may take. A payment waits for up to three, and is answered after ten seconds.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What is charged and given back: Stripe's word on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    Succeeded,
    Canceled,
    /// Not charged; the newest charge that was tried on it, and why that was declined.
    Open {
        charge: Option<String>,
        decline: Option<String>,
    },
    /// On its way; there is no word yet.
    Processing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundWord {
    Succeeded {
        id: String,
    },
    /// On its way.
    Pending,
    Failed,
}

/// Why there is no such word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Stripe declined the card: `code` is its decline code.
    #[error("declined: {code}")]
    Declined { code: String, charge: Option<String> },
    /// Stripe understood and refused (4xx): nothing happened.
    #[error("refused: {message}")]
    Refused { code: Option<String>, param: Option<String>, message: String },
    /// Stripe failed after it had taken the request, and would repeat that under the same key: ask.
    #[error("failed at Stripe: {0}")]
    Failed(String),
    /// No answer that could be read: send again under the same key, or ask.
    #[error("unknown: {0}")]
    Unknown(String),
}

#[derive(Clone)]
pub struct Gateway {
    client: Client,
}

impl Gateway {
    pub fn new(key: &str, url: &Url) -> anyhow::Result<Gateway> {
        let client = ClientBuilder::new(key)
            .url(url.as_str())
            .timeout(TIMEOUT)
            .request_strategy(RequestStrategy::Once)
            .build()
            .context("STRIPE_KEY, STRIPE_URL")?;
        Ok(Gateway { client })
    }

    /// Makes the order's PaymentIntent, for cards only, and answers with its id.
    pub async fn make_intent(
        &self,
        order: OrderId,
        key: i64,
        amount: Money,
        currency: &Currency,
    ) -> Result<String, Trouble> {
        let currency: stripe_types::Currency =
            currency.as_str().parse().map_err(|_| Trouble::Refused {
                code: None,
                param: Some("currency".into()),
                message: format!("Stripe's library doesn't know the currency {currency}"),
            })?;
        let request = CreatePaymentIntent::new(amount.minor(), currency)
            .allowed_payment_method_types(vec![PaymentIntentAllowedPaymentMethodTypes::Card])
            .metadata([("order_id".to_owned(), order.to_string())]);
        let request = request.customize().request_strategy(once(&format!("pi:{order}:{key}"))?);
        let intent = request.send(&self.client).await.map_err(trouble)?;
        Ok(intent.id.to_string())
    }

    /// Makes a PaymentMethod of the card that a token stands for, and answers with its id.
    pub async fn make_method(
        &self,
        order: OrderId,
        key: i64,
        token: &str,
    ) -> Result<String, Trouble> {
        let card = CreatePaymentMethodTokenParams { token: token.to_owned() };
        let request = CreatePaymentMethod::new()
            .type_(CreatePaymentMethodType::Card)
            .card(CreatePaymentMethodCard::TokenParams(card));
        let request = request.customize().request_strategy(once(&format!("pm:{order}:{key}"))?);
        let method = request.send(&self.client).await.map_err(trouble)?;
        Ok(method.id.to_string())
    }

    /// Charges the card.
    pub async fn confirm(
        &self,
        order: OrderId,
        key: i64,
        intent: &str,
        method: &str,
    ) -> Result<Intent, Trouble> {
        let request =
            ConfirmPaymentIntent::new(intent).payment_method(method).error_on_requires_action(true);
        let request =
            request.customize().request_strategy(once(&format!("confirm:{order}:{key}"))?);
        request.send(&self.client).await.map(|intent| word(&intent)).map_err(trouble)
    }

    /// Asks how the PaymentIntent stands.
    pub async fn ask(&self, intent: &str) -> Result<Intent, Trouble> {
        let request = RetrievePaymentIntent::new(intent);
        request.send(&self.client).await.map(|intent| word(&intent)).map_err(trouble)
    }

    /// Cancels a PaymentIntent that isn't paid, for good. It names the object, so it can't double.
    pub async fn cancel(&self, intent: &str) -> Result<Intent, Trouble> {
        let request = CancelPaymentIntent::new(intent);
        request.send(&self.client).await.map(|intent| word(&intent)).map_err(trouble)
    }

    /// Gives everything back.
    pub async fn refund(
        &self,
        payment: PaymentId,
        key: i64,
        intent: &str,
    ) -> Result<RefundWord, Trouble> {
        let request = CreateRefund::new().payment_intent(intent);
        let request =
            request.customize().request_strategy(once(&format!("refund:{payment}:{key}"))?);
        request.send(&self.client).await.map(|refund| refund_word(&refund)).map_err(trouble)
    }

    /// What became of the refunds that there are of a PaymentIntent: the best of them; none if there are
    /// none.
    pub async fn ask_refund(&self, intent: &str) -> Result<Option<RefundWord>, Trouble> {
        let request = ListRefund::new().payment_intent(intent).limit(100);
        let refunds = request.send(&self.client).await.map_err(trouble)?.data;
        let words: Vec<_> = refunds.iter().map(refund_word).collect();
        let succeeded = words.iter().find(|word| matches!(word, RefundWord::Succeeded { .. }));
        let pending = words.iter().find(|word| **word == RefundWord::Pending);
        Ok(succeeded.or(pending).or(words.first()).cloned())
    }
}

/// Sent once, under a key of ours.
fn once(key: &str) -> Result<RequestStrategy, Trouble> {
    let key = IdempotencyKey::new(key).map_err(|error| Trouble::Unknown(error.to_string()))?;
    Ok(RequestStrategy::Idempotent(key))
}

fn word(intent: &PaymentIntent) -> Intent {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
    match &intent.status {
        PaymentIntentStatus::Succeeded => Intent::Succeeded,
        PaymentIntentStatus::Canceled => Intent::Canceled,
        PaymentIntentStatus::Processing => Intent::Processing,
        // It requires something of somebody: nothing is charged. Stripe may add such states.
        _ => Intent::Open {
            charge: intent.latest_charge.as_ref().map(|charge| charge.id().to_string()),
            decline: intent.last_payment_error.as_deref().map(decline_code),
        },
    }
}

fn refund_word(refund: &stripe_core::Refund) -> RefundWord {
    // <https://docs.stripe.com/api/refunds/object#refund_object-status>
    match refund.status.as_deref() {
        Some("succeeded") => RefundWord::Succeeded { id: refund.id.to_string() },
        Some("failed" | "canceled") => RefundWord::Failed,
        Some(_) | None => RefundWord::Pending,
    }
}

/// The issuer's reason, or Stripe's own code where the issuer gave none.
fn decline_code(error: &ApiErrors) -> String {
    let code = error.code.as_ref().map(|code| code.as_str().to_owned());
    error.decline_code.clone().or(code).unwrap_or_else(|| "card_declined".to_owned())
}

/// <https://docs.stripe.com/error-low-level>
fn trouble(error: StripeError) -> Trouble {
    match error {
        StripeError::Stripe(error, 402) if error.type_ == ApiErrorsType::CardError => {
            Trouble::Declined { code: decline_code(&error), charge: error.charge.clone() }
        }
        // A key in use (409) and too many requests (429) are not kept under the key, a 5xx is.
        StripeError::Stripe(error, status @ (409 | 429)) => {
            Trouble::Unknown(describe(&error, status))
        }
        StripeError::Stripe(error, status) if status >= 500 => {
            Trouble::Failed(describe(&error, status))
        }
        StripeError::Stripe(error, status) => Trouble::Refused {
            code: error.code.as_ref().map(|code| code.as_str().to_owned()),
            param: error.param.clone(),
            message: error.message.clone().unwrap_or_else(|| describe(&error, status)),
        },
        // The answer came and couldn't be read; under the same key it would be the same again.
        StripeError::JSONDeserialize(error) => {
            Trouble::Failed(format!("unreadable answer: {error}"))
        }
        StripeError::ClientError(error) | StripeError::ConfigError(error) => {
            Trouble::Unknown(error)
        }
        StripeError::Timeout => Trouble::Unknown(format!("no answer within {TIMEOUT:?}")),
    }
}

fn describe(error: &ApiErrors, status: u16) -> String {
    format!("{status} {}", error.message.as_deref().unwrap_or("without a message"))
}
