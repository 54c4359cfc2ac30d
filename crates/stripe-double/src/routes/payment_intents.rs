//! <https://docs.stripe.com/api/payment_intents>

use serde_json::Value;

use crate::{
    app::{Command, Query},
    errors::ApiError,
    ids,
    model::{AllowRedirects, Capture, Charge, IntentStatus, Metadata, PaymentIntent},
    money,
    pagination::Page,
    params::Params,
    request::Access,
    routes::{
        confirm::Attempt,
        lookup::{load_intent, unexpected_state},
        payment_methods,
    },
    transaction::Transaction,
};

#[derive(Debug)]
pub struct Create {
    amount: i64,
    currency: String,
    payment_method: Option<String>,
    /// With `confirm=true`.
    attempt: Option<Attempt>,
    capture_method: String,
    payment_method_types: Vec<String>,
    automatic_payment_methods: Option<AllowRedirects>,
    description: Option<String>,
    receipt_email: Option<String>,
    metadata: Metadata,
}

impl Command for Create {
    const NOT_COVERED: &'static [&'static str] = &[
        "amount_details",
        "application_fee_amount",
        "customer_account",
        "excluded_payment_method_types",
        "hooks",
        "mandate",
        "mandate_data",
        "on_behalf_of",
        "payment_details",
        "payment_method_configuration",
        "payment_method_data",
        "payment_method_options",
        "radar_options",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ];

    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        let amount = params.amount("amount")?.ok_or_else(|| ApiError::missing_param("amount"))?;
        let currency = params.required("currency")?.to_lowercase();
        check_amount(amount, &currency)?;
        let capture_method = params
            .one_of("capture_method", &["automatic", "automatic_async", "manual"])?
            .unwrap_or_else(|| "automatic_async".to_owned());
        if params.one_of("confirmation_method", &["automatic", "manual"])?.as_deref()
            == Some("manual")
        {
            return Err(ApiError::not_covered("Manual confirmation", "confirmation_method"));
        }
        if let Some(customer) = params.text("customer")? {
            return Err(ApiError::no_such("customer", &customer, "customer"));
        }
        let (payment_method_types, automatic_payment_methods) = parse_types(params)?;
        let confirms = params.boolean("confirm")?.unwrap_or(false);
        if !confirms && let Some(name) = Attempt::PARAMS.iter().find(|name| params.has(name)) {
            return Err(ApiError::invalid(format!(
                "{name} can only be passed when confirm is true."
            ))
            .param(name));
        }
        let mut attempt = Attempt::parse(params)?;
        let payment_method = attempt.payment_method.take();
        Ok(Self {
            amount,
            currency,
            payment_method,
            attempt: confirms.then_some(attempt),
            capture_method,
            payment_method_types,
            automatic_payment_methods,
            description: params.text("description")?,
            receipt_email: params.text("receipt_email")?,
            metadata: params.metadata()?,
        })
    }

    fn lock_keys(&self, _: &crate::ledger::Ledger) -> Vec<String> {
        let token = self.attempt.as_ref().and_then(|attempt| attempt.confirmation_token.clone());
        self.payment_method.iter().cloned().chain(token).collect()
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let method = self
            .payment_method
            .as_deref()
            .map(|id| payment_methods::resolve(id, transaction))
            .transpose()?;
        let id = ids::new("pi");
        let mut intent = PaymentIntent {
            client_secret: format!("{id}_{}", ids::new("secret")),
            id,
            created: transaction.now_seconds(),
            amount: self.amount,
            currency: self.currency,
            status: if method.is_some() {
                IntentStatus::RequiresConfirmation
            } else {
                IntentStatus::RequiresPaymentMethod
            },
            capture_method: self.capture_method,
            payment_method: method.as_ref().map(|method| method.id.clone()),
            payment_method_types: self.payment_method_types,
            automatic_payment_methods: self.automatic_payment_methods,
            description: self.description,
            receipt_email: self.receipt_email,
            metadata: self.metadata,
            canceled_at: None,
            cancellation_reason: None,
            last_payment_error: None,
            next_action: None,
            challenge: None,
            charges: Vec::new(),
        };
        if let Some(method) = method {
            transaction.put_payment_method(method);
        }
        if let Some(attempt) = self.attempt {
            intent = attempt.run(intent, transaction)?;
        }
        let body = transaction.render_payment_intent(&intent);
        transaction.put_payment_intent(intent);
        Ok(body)
    }
}

fn check_amount(amount: i64, currency: &str) -> Result<(), ApiError> {
    let Some(minimum) = money::minimum(currency) else {
        return Err(ApiError::not_covered(&format!("The currency {currency}"), "currency"));
    };
    if amount < minimum {
        let message =
            format!("Amount must be at least {} {currency}", money::formatted(minimum, currency));
        return Err(ApiError::invalid(message).code("amount_too_small").param("amount"));
    }
    if amount > money::MAXIMUM {
        let message =
            format!("Amount must be no more than {}", money::formatted(money::MAXIMUM, currency));
        return Err(ApiError::invalid(message).code("amount_too_large").param("amount"));
    }
    Ok(())
}

/// Cards alone, if named; otherwise what the account accepts: cards, and possibly redirect-based methods.
fn parse_types(params: &mut Params) -> Result<(Vec<String>, Option<AllowRedirects>), ApiError> {
    let mut named = params.list("payment_method_types");
    named.extend(params.list("allowed_payment_method_types"));
    let enabled = params.boolean("automatic_payment_methods[enabled]")?;
    let redirects =
        params.one_of("automatic_payment_methods[allow_redirects]", &["always", "never"])?;
    if let Some(other) = named.iter().find(|name| *name != "card") {
        return Err(ApiError::not_covered(
            &format!("The payment method type {other}"),
            "payment_method_types",
        ));
    }
    match (named.is_empty(), enabled, redirects.as_deref()) {
        (false, Some(true), _) => {
            let message = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.";
            Err(ApiError::invalid(message).code("parameters_exclusive"))
        }
        (_, None, Some(_)) => Err(ApiError::missing_param("automatic_payment_methods[enabled]")),
        (false, ..) | (_, Some(false), _) => Ok((vec!["card".to_owned()], None)),
        (true, Some(true), Some("never")) => {
            Ok((vec!["card".to_owned()], Some(AllowRedirects::Never)))
        }
        // The API's default since 2023-08-16.
        (true, ..) => Ok((vec!["card".to_owned()], Some(AllowRedirects::Always))),
    }
}

#[derive(Debug)]
pub struct Cancel {
    intent: String,
    reason: Option<String>,
}

impl Command for Cancel {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
        Ok(Self { intent: id.to_owned(), reason: params.one_of("cancellation_reason", &reasons)? })
    }

    fn lock_keys(&self, _: &crate::ledger::Ledger) -> Vec<String> {
        vec![self.intent.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut intent = load_intent(&self.intent, transaction)?;
        if !intent.status.may_be_canceled() {
            return Err(unexpected_state(
                &format!(
                    "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
                     following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, \
                     requires_action, processing.",
                    intent.status.name()
                ),
                &intent,
                transaction,
            ));
        }
        release_authorisation(&intent, transaction);
        intent.status = IntentStatus::Canceled;
        intent.canceled_at = Some(transaction.now_seconds());
        intent.cancellation_reason = self.reason;
        intent.next_action = None;
        intent.challenge = None;
        let body = transaction.render_payment_intent(&intent);
        transaction.put_payment_intent(intent);
        Ok(body)
    }
}

/// An open authorisation is released. Since the API's version 2025-03-31 that isn't a refund.
fn release_authorisation(intent: &PaymentIntent, transaction: &mut Transaction<'_>) {
    let newest = intent.charges.last().and_then(|id| transaction.charge(id)).cloned();
    if let Some(charge) = newest.filter(|charge| charge.capture_before_ms().is_some()) {
        transaction.put_charge(Charge { capture: Capture::Released, ..charge });
    }
}

#[derive(Debug)]
pub struct Retrieve {
    id: String,
    client_secret: Option<String>,
}

impl Query for Retrieve {
    const PUBLISHABLE: bool = true;

    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { id: id.to_owned(), client_secret: params.text("client_secret")? })
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let intent = load_intent(&self.id, view)?;
        match (view.access, self.client_secret) {
            (Access::Secret, _) => Ok(view.render_payment_intent(&intent)),
            (Access::Publishable, Some(secret)) if secret == intent.client_secret => {
                Ok(view.render_payment_intent_for_browser(&intent))
            }
            (Access::Publishable, Some(_)) => {
                let message = "The client_secret provided does not match any associated PaymentIntent on this account.";
                Err(ApiError::invalid(message)
                    .code("payment_intent_invalid_parameter")
                    .param("client_secret"))
            }
            (Access::Publishable, None) => Err(ApiError::missing_param("client_secret")),
        }
    }
}

#[derive(Debug)]
pub struct List(Page);

impl Query for List {
    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        if let Some(customer) = params.text("customer")? {
            return Err(ApiError::no_such("customer", &customer, "customer"));
        }
        Ok(Self(Page::parse(params)?))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let intents =
            view.committed().payment_intents.iter().map(|(id, it)| (id.as_str(), it.created, it));
        Ok(self.0.of("/v1/payment_intents", intents, |it| view.render_payment_intent(it)))
    }
}
