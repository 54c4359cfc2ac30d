//! <https://docs.stripe.com/api/confirmation_tokens>

use serde_json::Value;

use crate::{
    app::{Command, Query},
    errors::ApiError,
    ids,
    model::ConfirmationToken,
    params::Params,
    routes::payment_methods::{self, MethodData},
    transaction::Transaction,
};

const VALID_FOR_SECONDS: u64 = 12 * 60 * 60;

/// From Stripe.js: `stripe.createConfirmationToken`.
#[derive(Debug)]
pub struct Create {
    data: MethodData,
    return_url: Option<String>,
}

impl Command for Create {
    const NOT_COVERED: &'static [&'static str] =
        &["payment_method_options", "setup_future_usage", "shipping"];
    const PUBLISHABLE: bool = true;

    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        params.ignore(&["client_context"]);
        Ok(Self {
            data: MethodData::parse(params, Some("payment_method_data"))?,
            return_url: params.text("return_url")?,
        })
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let method = self.data.payment_method(transaction)?;
        Ok(create(method, self.return_url, transaction))
    }
}

/// <https://docs.stripe.com/api/confirmation_tokens/test_create>: without a browser.
#[derive(Debug)]
pub struct CreateForTest {
    method: Method,
    return_url: Option<String>,
}

#[derive(Debug)]
enum Method {
    Existing(String),
    New(MethodData),
}

impl Command for CreateForTest {
    const NOT_COVERED: &'static [&'static str] =
        &["payment_method_options", "setup_future_usage", "shipping"];

    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        let method = match params.text("payment_method")? {
            Some(id) => Method::Existing(id),
            None => Method::New(MethodData::parse(params, Some("payment_method_data"))?),
        };
        Ok(Self { method, return_url: params.text("return_url")? })
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let method = match self.method {
            Method::Existing(id) => payment_methods::resolve(&id, transaction)?,
            Method::New(data) => data.payment_method(transaction)?,
        };
        Ok(create(method, self.return_url, transaction))
    }
}

fn create(
    payment_method: crate::model::PaymentMethod,
    return_url: Option<String>,
    transaction: &mut Transaction<'_>,
) -> Value {
    let token = ConfirmationToken {
        id: ids::new("ctoken"),
        created: transaction.now_seconds(),
        expires_at: transaction.now_seconds() + VALID_FOR_SECONDS,
        payment_method,
        return_url,
        payment_intent: None,
    };
    let body = transaction.render_confirmation_token(&token);
    transaction.put_confirmation_token(token);
    body
}

/// The token that a confirmation refers to, if it can still be used.
pub fn usable(id: &str, transaction: &Transaction<'_>) -> Result<ConfirmationToken, ApiError> {
    const PARAM: &str = "confirmation_token";
    let token = transaction
        .confirmation_token(id)
        .ok_or_else(|| ApiError::no_such("confirmation_token", id, PARAM))?;
    if let Some(intent) = &token.payment_intent {
        let message =
            format!("The ConfirmationToken {id} has already been used to confirm {intent}.");
        return Err(ApiError::invalid(message).param(PARAM));
    }
    if token.expires_at <= transaction.now_seconds() {
        let message = format!("The ConfirmationToken {id} has expired.");
        return Err(ApiError::invalid(message).param(PARAM));
    }
    Ok(token.clone())
}

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        view.confirmation_token(&self.0)
            .map(|token| view.render_confirmation_token(token))
            .ok_or_else(|| ApiError::not_found("confirmation_token", &self.0, "confirmation_token"))
    }
}
