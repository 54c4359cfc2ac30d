//! 3-D Secure: the bank's page, on which the buyer completes the challenge, fails it, or leaves.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    app::{App, Command},
    cards::Behaviour,
    errors::ApiError,
    html,
    ledger::Ledger,
    model::{Challenge, IntentStatus, PaymentIntent},
    money,
    params::Params,
    response::ApiResponse,
    routes::{
        confirm::{refused, succeed},
        lookup::{load_intent, unexpected_state},
    },
    transaction::Transaction,
};

const PAGE: &str = include_str!("../../assets/challenge.html");
const CLOSED: &str = include_str!("../../assets/challenge-closed.html");

/// The buyer's response to the challenge. Not part of Stripe's API.
#[derive(Debug)]
pub struct Authenticate {
    intent: String,
    succeeds: bool,
}

impl Command for Authenticate {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        let outcome = params.one_of("outcome", &["success", "failure"])?;
        let outcome = outcome.ok_or_else(|| ApiError::missing_param("outcome"))?;
        Ok(Self { intent: id.to_owned(), succeeds: outcome == "success" })
    }

    fn lock_keys(&self, _: &Ledger) -> Vec<String> {
        vec![self.intent.clone()]
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut intent = load_intent(&self.intent, transaction)?;
        let method =
            intent.payment_method.as_ref().and_then(|id| transaction.payment_method(id)).cloned();
        let (IntentStatus::RequiresAction, Some(method)) = (intent.status, method) else {
            return Err(unexpected_state(
                "This PaymentIntent doesn't require 3-D Secure.",
                &intent,
                transaction,
            ));
        };
        intent = if self.succeeds {
            match method.behaviour() {
                Behaviour::Authenticates(Some(decline)) => {
                    refused(intent, method, decline, transaction).0
                }
                Behaviour::Authenticates(None)
                | Behaviour::Pays
                | Behaviour::Declines(_)
                | Behaviour::RefundsLate
                | Behaviour::FailsRefunds
                | Behaviour::Disputes { .. } => succeed(intent, method, transaction),
            }
        } else {
            let message = "We are unable to authenticate your payment method. Please choose a different payment method and try again.";
            let error = ApiError::invalid(message).code("payment_intent_authentication_failure");
            let error = error.with("payment_method", transaction.render_payment_method(&method));
            PaymentIntent {
                status: IntentStatus::RequiresPaymentMethod,
                payment_method: None,
                next_action: None,
                challenge: None,
                last_payment_error: Some(error.fields),
                ..intent
            }
        };
        let body = transaction.render_payment_intent(&intent);
        transaction.put_payment_intent(intent);
        Ok(body)
    }
}

#[derive(Debug, Deserialize)]
pub struct Secret {
    secret: String,
}

pub async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(Secret { secret }): Query<Secret>,
) -> Response {
    if let Err(error) = app.settle_due().await {
        return ApiResponse::error(error).into_response();
    }
    let Some((intent, _)) = open(&app, &id, &secret) else { return closed() };
    let page = PAGE
        .replace("{amount}", &html::escaped(&money::formatted(intent.amount, &intent.currency)))
        .replace("{secret}", &html::escaped(&secret));
    Html(page).into_response()
}

pub async fn answer(State(app): State<Arc<App>>, Path(id): Path<String>, body: Bytes) -> Response {
    let mut params = Params::parse(&body);
    let secret = params.required("secret").unwrap_or_default();
    let Some((intent, challenge)) = open(&app, &id, &secret) else { return closed() };
    let outcome = match params.one_of("outcome", &["success", "failure", "leave"]) {
        Ok(outcome) => outcome,
        Err(error) => return ApiResponse::error(error).into_response(),
    };
    // A buyer who leaves gives no answer: the challenge stays open.
    if let Some(outcome) = outcome.filter(|outcome| outcome != "leave") {
        let command = Authenticate { intent: id.clone(), succeeds: outcome == "success" };
        // An intent that was canceled meanwhile is no error here: the buyer returns to the page that says so.
        if let Err(error) = app.run(command).await
            && error.status.is_server_error()
        {
            return ApiResponse::error(error).into_response();
        }
    }
    let status = app.ledger().payment_intents.get(&id).map(|intent| intent.status);
    match &challenge.return_url {
        Some(return_url) => back_to(return_url, &intent, status),
        None => Html(include_str!("../../assets/challenge-done.html")).into_response(),
    }
}

/// The intent, if this challenge is still open.
fn open(app: &App, id: &str, secret: &str) -> Option<(PaymentIntent, Challenge)> {
    let ledger = app.ledger();
    let intent = ledger.payment_intents.get(id)?;
    let challenge = intent.challenge.clone().filter(|challenge| challenge.secret == secret)?;
    (intent.status == IntentStatus::RequiresAction).then(|| (intent.clone(), challenge))
}

fn closed() -> Response {
    (StatusCode::GONE, Html(CLOSED)).into_response()
}

/// <https://docs.stripe.com/payments/3d-secure/authentication-flow>
fn back_to(return_url: &str, intent: &PaymentIntent, status: Option<IntentStatus>) -> Response {
    let Ok(mut url) = Url::parse(return_url) else { return closed() };
    let redirect_status = match status {
        Some(IntentStatus::Succeeded | IntentStatus::RequiresCapture) => "succeeded",
        Some(IntentStatus::RequiresAction | IntentStatus::Processing) => "pending",
        Some(
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::Canceled,
        )
        | None => "failed",
    };
    url.query_pairs_mut()
        .append_pair("payment_intent", &intent.id)
        .append_pair("payment_intent_client_secret", &intent.client_secret)
        .append_pair("redirect_status", redirect_status);
    ([(header::REFERRER_POLICY, "no-referrer")], Redirect::to(url.as_str())).into_response()
}
