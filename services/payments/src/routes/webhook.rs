//! `POST /api/payments/webhook`: Stripe reports that something has happened. It is stored, and worked on afterwards, unless
//! another event says the same.

use axum::body::Bytes;
use axum::extract::State;
use common::problem;
use http::{HeaderMap, StatusCode};
use httpkit::openapi::Call;
use httpkit::{Error, Result};

use crate::domain::{WebhookEvent, is_signed, is_useful};
use crate::state::App;

/// Stripe's header.
const SIGNATURE: &str = "stripe-signature";

pub async fn handle(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<StatusCode> {
    let now = app.clock.now();
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let is_accepted = |signature: &str| is_signed(signature, &body, &app.webhook_secrets, now);
    if !signature.is_some_and(is_accepted) {
        metrics::counter!("webhooks_total", "outcome" => "refused").increment(1);
        return Err(Error::refused(
            &problem::MALFORMED,
            "The signature is missing, too old, or not by a secret of ours.",
        ));
    }
    let event = WebhookEvent::read(&body, now);
    if is_useful(&event.kind) {
        app.store.insert_webhook(&event).await?;
        app.wake_webhooks.notify_one();
    } else {
        metrics::counter!("webhooks_total", "outcome" => "redundant").increment(1);
    }
    Ok(StatusCode::OK)
}

pub fn call() -> Call {
    Call::post("webhook", "/api/payments/webhook", "Take an event of Stripe")
        .text("For Stripe. The body is an event as Stripe defines it; it is stored, and worked on afterwards.")
        .with("stripeSignature")
        .foreign_body()
        .empty("It is stored.")
        .refused(&[&problem::MALFORMED, &problem::TOO_LARGE])
}
