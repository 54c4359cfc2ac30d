//! `POST /api/payments`: pay an order.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::auth::CurrentUser;
use common::error::{Error, Result, Violation, problems};
use common::events::Stream;
use common::extract::Body;
use common::ids::OrderId;
use common::mongo::read_your_writes;
use common::permissions::{self, Action};
use common::server::{accepted, created};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::Instrument;
use validator::Validate;

use crate::app::App;
use crate::domain::{Payment, Status};
use crate::gateway::Trouble;
use crate::view::PaymentView;
use crate::worker::{self, Outcome};

/// How long a buyer waits for Stripe's word before the answer is *processing*.
pub const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    order_id: String,
    #[validate(length(min = 1, max = 255, message = "must be a Stripe token or payment method"))]
    token: String,
}

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Body(input): Body<Input>,
) -> Result<Response> {
    if !input.token.starts_with("tok_") && !input.token.starts_with("pm_") {
        let rule = "must be a Stripe token (tok_…) or payment method (pm_…)";
        return Err(Error::invalid([Violation::of("token", rule)]));
    }
    let missing = || Error::not_found("order");
    let order: OrderId = input.order_id.parse().map_err(|_| missing())?;
    let cut_off = || app.feeds.is_cut_off(Stream::Orders);
    let find = async || Ok(app.store.payments.get(order).await?);
    let payment = read_your_writes(order.made_at(), app.clock.now(), cut_off, find).await?;
    let owners = payment.ok_or_else(missing)?.owners();
    permissions::require(&user, Action::Pay, owners)?;

    let claim = app.store.payments.change(order, |payment| {
        payment.claim(&input.token, app.attempts, app.clock.now()).map(Some)
    });
    let claimed = claim.await?.ok_or_else(missing)?;
    answer(&app, claimed).await
}

/// Waits for the outcome of the attempt that was just claimed.
async fn answer(app: &App, claimed: Payment) -> Result<Response> {
    let order = claimed.order_id;
    let declines = claimed.charge.as_ref().map_or(0, |charge| charge.declines);
    let deadline = Instant::now() + PATIENCE;
    let driver = app.clone();
    let drive = tokio::spawn(async move { worker::drive(&driver, order).await }.in_current_span());
    match tokio::time::timeout_at(deadline, drive).await {
        Ok(Ok(Ok(Outcome::TokenRefused(message)))) => {
            return Err(Error::invalid([Violation::of("token", message)]));
        }
        // What Stripe refuses before a card is named is our mistake; else it can't be reached.
        Ok(Ok(Ok(Outcome::NothingSent(trouble @ Trouble::Refused { .. })))) => {
            return Err(Error::Internal(trouble.into()));
        }
        Ok(Ok(Ok(Outcome::NothingSent(trouble)))) => {
            return Err(Error::Unavailable(trouble.into()));
        }
        Ok(Ok(Ok(Outcome::Settled(_) | Outcome::Unknown))) | Err(_) => {}
        // The attempt is claimed: whatever went wrong here, the worker takes it up.
        Ok(Ok(Err(failure))) => tracing::warn!(?failure, "the worker takes over"),
        Ok(Err(panic)) => tracing::error!(%panic, "the worker takes over"),
    }
    loop {
        let payment = look(app, order).await.unwrap_or_else(|| claimed.clone());
        if let Some(response) = settled(app, payment.clone(), declines)? {
            return Ok(response);
        }
        if Instant::now() >= deadline {
            return processing(app, payment);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The payment as it is now. None: the database is silent, which doesn't make the answer a 503, as
/// something may have been sent.
async fn look(app: &App, order: OrderId) -> Option<Payment> {
    const LIMIT: Duration = Duration::from_secs(2);
    let payments = app.store.payments.clone();
    // A task of its own, so that the driver's future isn't dropped half-way.
    let get = tokio::spawn(async move { payments.get(order).await });
    tokio::time::timeout(LIMIT, get).await.ok()?.ok()?.ok()?
}

/// What is said of an attempt that has an end. None: it has none yet.
fn settled(app: &App, payment: Payment, declines: i64) -> Result<Option<Response>> {
    let Some(charge) = &payment.charge else { return Ok(None) };
    match charge.status {
        Status::Processing => Ok(None),
        Status::Completed | Status::Refunding | Status::Refunded => {
            let view = PaymentView::of(payment, app.attempts)
                .ok_or_else(|| Error::not_found("payment"))?;
            Ok(Some(created(&view.location(), view.version, Json(view))))
        }
        Status::Created | Status::Failed if charge.declines > declines => {
            let code = charge.last_decline.clone().unwrap_or_default();
            let left = (app.attempts - charge.declines).max(0);
            let detail = format!("The card was declined ({code}). You can try {left} more times.");
            Err(Error::refused(&problems::CARD_DECLINED, detail)
                .with("declineCode", code)
                .with("attemptsLeft", left))
        }
        // The order ended before anything was charged.
        Status::Created | Status::Failed => {
            payment.refusal(app.attempts, app.clock.now())?;
            Err(Error::contended())
        }
    }
}

/// 202: there is no word from Stripe yet. It comes; the buyer must not pay again.
fn processing(app: &App, payment: Payment) -> Result<Response> {
    let view = PaymentView::of(payment, app.attempts).ok_or_else(|| Error::not_found("payment"))?;
    Ok(accepted(&view.location(), Json(view)).into_response())
}
