//! <https://docs.stripe.com/api/payment_intents/confirm>

use serde_json::{Value, json};

use crate::{
    app::Command,
    cards::{Behaviour, Decline, UNAUTHENTICATED},
    deadlines::AUTHORISED_FOR_MS,
    errors::ApiError,
    ids,
    ledger::Ledger,
    model::{
        AllowRedirects, Capture, Challenge, Charge, ChargeStatus, ConfirmationToken, IntentStatus,
        PaymentIntent, PaymentMethod,
    },
    params::Params,
    routes::{
        confirmation_tokens,
        lookup::{load_intent, unexpected_state},
        payment_methods,
    },
    transaction::Transaction,
};

/// The parameters of a confirmation.
#[derive(Debug)]
pub struct Attempt {
    pub payment_method: Option<String>,
    pub confirmation_token: Option<String>,
    return_url: Option<String>,
    use_stripe_sdk: Option<bool>,
    error_on_requires_action: bool,
    off_session: bool,
}

impl Attempt {
    /// Parameters that are valid only with a confirmation.
    pub const PARAMS: &'static [&'static str] =
        &["confirmation_token", "return_url", "error_on_requires_action", "off_session"];

    pub fn parse(params: &mut Params) -> Result<Self, ApiError> {
        params.ignore(&["client_secret"]);
        let payment_method = params.text("payment_method")?;
        let confirmation_token = params.text("confirmation_token")?;
        if payment_method.is_some() && confirmation_token.is_some() {
            let message =
                "You may only specify one of these parameters: payment_method, confirmation_token.";
            return Err(ApiError::invalid(message).code("parameters_exclusive"));
        }
        Ok(Self {
            payment_method,
            confirmation_token,
            return_url: params.text("return_url")?,
            use_stripe_sdk: params.boolean("use_stripe_sdk")?,
            error_on_requires_action: params.boolean("error_on_requires_action")?.unwrap_or(false),
            off_session: params.boolean("off_session")?.unwrap_or(false),
        })
    }

    /// A decline is an error, and its changes to the intent stay staged in the transaction.
    pub fn run(
        self,
        mut intent: PaymentIntent,
        transaction: &mut Transaction<'_>,
    ) -> Result<PaymentIntent, ApiError> {
        match intent.status {
            IntentStatus::Succeeded => {
                let message = "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.";
                return Err(unexpected_state(message, &intent, transaction));
            }
            IntentStatus::Canceled | IntentStatus::Processing | IntentStatus::RequiresCapture => {
                let message = format!(
                    "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
                     following statuses may be confirmed: requires_confirmation, requires_action.",
                    intent.status.name()
                );
                return Err(unexpected_state(&message, &intent, transaction));
            }
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresAction => {}
        }
        let id = self.payment_method.as_ref().or(intent.payment_method.as_ref());
        let (method, token) = match (&self.confirmation_token, id) {
            (Some(token), _) => {
                let token = confirmation_tokens::usable(token, transaction)?;
                (token.payment_method.clone(), Some(token))
            }
            (None, Some(id)) => (payment_methods::resolve(id, transaction)?, None),
            (None, None) => {
                let message = "You cannot confirm this PaymentIntent because it's missing a payment method. Update the PaymentIntent with \
                               a payment method and then confirm it again, or confirm it directly with a payment method.";
                return Err(unexpected_state(message, &intent, transaction));
            }
        };
        let of_token = token.as_ref().and_then(|token| token.return_url.clone());
        let return_url = self.return_url.or(of_token);
        if intent.automatic_payment_methods == Some(AllowRedirects::Always) && return_url.is_none()
        {
            return Err(ApiError::invalid(
                "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment \
                 methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept \
                 redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and \
                 `automatic_payment_methods[allow_redirects]` to `never`.",
            ));
        }
        // An open challenge was of the attempt before.
        intent.challenge = None;
        match method.behaviour() {
            Behaviour::Pays
            | Behaviour::RefundsLate
            | Behaviour::FailsRefunds
            | Behaviour::Disputes { .. } => {
                mark_used(token, &intent, transaction);
                Ok(succeed(intent, method, transaction))
            }
            Behaviour::Declines(decline) => Err(fail(intent, method, decline, transaction)),
            Behaviour::Authenticates(_) if self.error_on_requires_action || self.off_session => {
                Err(fail(intent, method, UNAUTHENTICATED, transaction))
            }
            Behaviour::Authenticates(_) => {
                let with_sdk = self.use_stripe_sdk.unwrap_or(token.is_some());
                mark_used(token, &intent, transaction);
                let return_url = return_url.filter(|_| !with_sdk);
                let (challenge, next_action) = challenge(&intent, return_url, transaction);
                intent.status = IntentStatus::RequiresAction;
                intent.next_action = Some(next_action);
                intent.challenge = Some(challenge);
                intent.payment_method = Some(method.id.clone());
                transaction.put_payment_method(method);
                Ok(intent)
            }
        }
    }
}

#[derive(Debug)]
pub struct Confirm {
    intent: String,
    attempt: Attempt,
    receipt_email: Option<String>,
}

impl Command for Confirm {
    const NOT_COVERED: &'static [&'static str] = &[
        "allowed_payment_method_types",
        "amount_details",
        "amount_to_confirm",
        "capture_method",
        "excluded_payment_method_types",
        "hooks",
        "mandate",
        "mandate_data",
        "payment_details",
        "payment_method_data",
        "payment_method_options",
        "payment_method_types",
        "radar_options",
        "setup_future_usage",
        "shipping",
    ];

    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            intent: id.to_owned(),
            attempt: Attempt::parse(params)?,
            receipt_email: params.text("receipt_email")?,
        })
    }

    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        let own = ledger
            .payment_intents
            .get(&self.intent)
            .and_then(|intent| intent.payment_method.clone());
        let method = self.attempt.payment_method.clone().or(own);
        let token = self.attempt.confirmation_token.clone();
        std::iter::once(self.intent.clone()).chain(method).chain(token).collect()
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut intent = load_intent(&self.intent, transaction)?;
        intent.receipt_email = self.receipt_email.or(intent.receipt_email);
        let intent = self.attempt.run(intent, transaction)?;
        let body = transaction.render_payment_intent(&intent);
        transaction.put_payment_intent(intent);
        Ok(body)
    }
}

fn mark_used(
    token: Option<ConfirmationToken>,
    intent: &PaymentIntent,
    transaction: &mut Transaction<'_>,
) {
    if let Some(token) = token {
        let payment_intent = Some(intent.id.clone());
        transaction.put_confirmation_token(ConfirmationToken { payment_intent, ..token });
    }
}

pub fn succeed(
    mut intent: PaymentIntent,
    mut method: PaymentMethod,
    transaction: &mut Transaction<'_>,
) -> PaymentIntent {
    let charge = charge(&intent, &method, None, transaction);
    intent.status = match charge.capture_before_ms() {
        Some(_) => IntentStatus::RequiresCapture,
        None => IntentStatus::Succeeded,
    };
    intent.payment_method = Some(method.id.clone());
    intent.last_payment_error = None;
    intent.next_action = None;
    intent.challenge = None;
    intent.charges.push(charge.id.clone());
    method.used = true;
    let charge = with_dispute(charge, &method, transaction);
    transaction.put_payment_method(method);
    transaction.put_charge(charge);
    intent
}

fn fail(
    intent: PaymentIntent,
    method: PaymentMethod,
    decline: Decline,
    transaction: &mut Transaction<'_>,
) -> ApiError {
    let (intent, error) = refused(intent, method, decline, transaction);
    let error = error.with("payment_intent", transaction.render_payment_intent(&intent));
    transaction.put_payment_intent(intent);
    error
}

/// The card was declined: a failed charge, and the intent requires another payment method.
pub fn refused(
    mut intent: PaymentIntent,
    method: PaymentMethod,
    decline: Decline,
    transaction: &mut Transaction<'_>,
) -> (PaymentIntent, ApiError) {
    let charge = charge(&intent, &method, Some(decline), transaction);
    let mut error = ApiError::card(decline.code, decline.message).with("charge", charge.id.clone());
    if let Some(decline_code) = decline.decline_code {
        error = error.with("decline_code", decline_code);
    }
    if let Some(param) = decline.param {
        error = error.param(param);
    }
    error = error.with("payment_method", transaction.render_payment_method(&method));
    intent.status = IntentStatus::RequiresPaymentMethod;
    intent.payment_method = None;
    intent.next_action = None;
    intent.challenge = None;
    intent.last_payment_error = Some(error.fields.clone());
    intent.charges.push(charge.id.clone());
    transaction.put_payment_method(method);
    transaction.put_charge(charge);
    (intent, error)
}

fn charge(
    intent: &PaymentIntent,
    method: &PaymentMethod,
    decline: Option<Decline>,
    transaction: &Transaction<'_>,
) -> Charge {
    Charge {
        id: ids::new("ch"),
        created: transaction.now_seconds(),
        amount: intent.amount,
        currency: intent.currency.clone(),
        status: if decline.is_some() { ChargeStatus::Failed } else { ChargeStatus::Succeeded },
        payment_intent: intent.id.clone(),
        payment_method: method.id.clone(),
        description: intent.description.clone(),
        receipt_email: intent.receipt_email.clone(),
        metadata: intent.metadata.clone(),
        failure_code: decline.map(|decline| decline.code.to_owned()),
        failure_message: decline.map(|decline| decline.message.to_owned()),
        decline_code: decline.and_then(|decline| decline.decline_code).map(str::to_owned),
        capture: match intent.capture_method.as_str() {
            "manual" => Capture::Awaited { until_ms: transaction.now_ms + AUTHORISED_FOR_MS },
            _ => Capture::Immediate,
        },
        refunds: Vec::new(),
        disputes: Vec::new(),
        disputed_at_ms: None,
        is_authenticated: intent.challenge.is_some(),
    }
}

/// A captured charge of some cards is disputed a while later.
pub fn with_dispute(
    mut charge: Charge,
    method: &PaymentMethod,
    transaction: &Transaction<'_>,
) -> Charge {
    let is_disputed = matches!(method.behaviour(), Behaviour::Disputes { .. });
    charge.disputed_at_ms =
        (is_disputed && charge.is_captured()).then(|| transaction.settles_at_ms());
    charge
}

/// With Stripe.js the challenge is a frame in the page; without it, the buyer leaves for the bank's page and returns.
fn challenge(
    intent: &PaymentIntent,
    return_url: Option<String>,
    transaction: &Transaction<'_>,
) -> (Challenge, Value) {
    let challenge = Challenge { secret: ids::new("challenge"), return_url };
    let bank = format!(
        "{}/3d_secure/{}?secret={}",
        transaction.options.public_url, intent.id, challenge.secret
    );
    let next_action = match &challenge.return_url {
        Some(return_url) => {
            json!({ "type": "redirect_to_url", "redirect_to_url": { "url": bank, "return_url": return_url } })
        }
        None => {
            json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": bank } })
        }
    };
    (challenge, next_action)
}
