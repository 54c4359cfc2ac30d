//! The response to a request: its outcome, or *processing* while that is unknown.

use std::time::Duration;

use axum::Json;
use axum::response::Response;
use common::ids::OrderId;
use common::problem::{self, Violation};
use httpkit::idempotency::RequestIdentity;
use httpkit::response::{accepted, created};
use httpkit::{Error, Result};
use tokio::time::Instant;
use tracing::Instrument;

use crate::domain::{GatewayError, OrderPayment, Progress, RequestOutcome, Status};
use crate::state::App;
use crate::view::PaymentView;
use crate::waiting::Subscription;
use crate::worker::{self, Outcome};

/// How long a buyer waits for Stripe's result before the response is *processing*.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Within this time there is a response, even if the database doesn't respond.
pub const DEADLINE: Duration = Duration::from_secs(14);

/// Executes the attempt that the request has just begun, and responds with its outcome.
pub async fn respond_to_new(
    app: &App,
    begun: OrderPayment,
    request: &RequestIdentity,
    deadline: Instant,
) -> Result<Response> {
    let mut changes = app.store.subscribe(begun.order_id);
    let (outcome, payment) = execute_until(app, begun, deadline).await;
    match outcome {
        Outcome::InvalidToken(message) => {
            return Err(Error::invalid([Violation::of("token", message)]));
        }
        // What Stripe refuses before a card is involved is a defect of ours; otherwise Stripe can't be reached.
        Outcome::NothingSent(error @ GatewayError::Refused { .. }) => {
            return Err(Error::Internal(error.into()));
        }
        Outcome::NothingSent(error) => return Err(Error::Unavailable(error.into())),
        Outcome::Settled | Outcome::Unknown => {}
    }
    match wait_for_outcome(app, &mut changes, payment, request, deadline).await? {
        (payment, Progress::Finished(outcome)) => respond(payment, outcome),
        (payment, Progress::InProgress { .. }) => respond_in_progress(app, payment),
        // The order ended before anything was charged.
        (payment, Progress::Unknown) => {
            payment.check_payable(app.limits, app.clock.now())?;
            Err(Error::conflict())
        }
    }
}

/// Waits for the outcome of the same request, which came before. None: it had no effect.
pub async fn respond_to_repeat(
    app: &App,
    payment: OrderPayment,
    request: &RequestIdentity,
    deadline: Instant,
) -> Result<Option<Response>> {
    let arrived = app.clock.now();
    let mut changes = app.store.subscribe(payment.order_id);
    let payment = reload(app, payment.order_id).await.unwrap_or(payment);
    match wait_for_outcome(app, &mut changes, payment, request, deadline).await? {
        (payment, Progress::Finished(outcome)) => respond(payment, outcome).map(Some),
        // By then the response to the first one had been the same.
        (payment, Progress::InProgress { since })
            if since + RESPONSE_TIMEOUT <= arrived || payment.action().is_some() =>
        {
            respond_in_progress(app, payment).map(Some)
        }
        (_, Progress::InProgress { .. }) => {
            let detail = "An identical request with this Idempotency-Key is still in progress.";
            Err(Error::refused(&problem::REQUEST_IN_PROGRESS, detail))
        }
        (_, Progress::Unknown) => Ok(None),
    }
}

/// The response to a request with this outcome: always the same, whatever the payment has become since.
pub fn respond(payment: OrderPayment, outcome: RequestOutcome) -> Result<Response> {
    match outcome {
        RequestOutcome::Paid { version } => {
            let view = PaymentView::at(payment, Status::Captured, version);
            let view = view.ok_or_else(missing)?;
            Ok(created(&view.location(), view.version.get(), Json(view)))
        }
        RequestOutcome::Refunding { version } => {
            let view = PaymentView::at(payment, Status::Refunding, version);
            let view = view.ok_or_else(missing)?;
            Ok(accepted(&view.location(), Json(view)))
        }
        RequestOutcome::Unknown(_) => {
            Err(Error::Unavailable(anyhow::anyhow!("the outcome was stored by a later version")))
        }
        RequestOutcome::Declined { code, attempts_left } => {
            let more = match attempts_left {
                0 => "No attempts left.".to_owned(),
                1 => "1 more attempt.".to_owned(),
                more => format!("{more} more attempts."),
            };
            let detail = format!("The card was declined ({code}). {more}");
            Err(Error::refused(&problem::CARD_DECLINED, detail)
                .with("declineCode", code)
                .with("attemptsLeft", attempts_left))
        }
    }
}

/// 202: the buyer's bank asks the buyer; or the outcome is unknown. It will be known; the buyer must not pay again.
fn respond_in_progress(app: &App, payment: OrderPayment) -> Result<Response> {
    let view = PaymentView::for_payer(payment, app.limits).ok_or_else(missing)?;
    Ok(accepted(&view.location(), Json(view)))
}

/// Executes the attempt's steps in a task of its own, which continues after the deadline. Whatever goes wrong in it, the
/// attempt is stored, and the background worker continues it. Returns the payment as it is then, as far as that is known.
async fn execute_until(
    app: &App,
    begun: OrderPayment,
    deadline: Instant,
) -> (Outcome, OrderPayment) {
    let (executor, payment) = (app.clone(), begun.clone());
    let steps = async move { worker::execute_steps(&executor, payment).await };
    let order = begun.order_id;
    match tokio::time::timeout_at(deadline, tokio::spawn(steps.in_current_span())).await {
        Ok(Ok(Ok(executed))) => return executed,
        Ok(Ok(Err(failure))) => {
            tracing::warn!(%order, ?failure, "handed over to background worker");
        }
        Ok(Err(panic)) => tracing::error!(%order, %panic, "handed over to background worker"),
        Err(_) => {}
    }
    let payment = reload(app, order).await.unwrap_or(begun);
    (Outcome::Unknown, payment)
}

/// The request's progress once the card is charged, the attempt has ended, or the buyer has to act; or at the deadline.
async fn wait_for_outcome(
    app: &App,
    changes: &mut Subscription,
    mut payment: OrderPayment,
    request: &RequestIdentity,
    deadline: Instant,
) -> Result<(OrderPayment, Progress)> {
    loop {
        let progress = payment.progress(request, app.clock.now())?;
        let in_progress =
            matches!(progress, Progress::InProgress { .. }) && payment.action().is_none();
        if !in_progress || Instant::now() >= deadline {
            return Ok((payment, progress));
        }
        payment = next(app, changes, payment, deadline).await;
    }
}

/// The payment once orders has decided about what is authorised, or at the deadline.
pub async fn wait_for_decision(
    app: &App,
    mut payment: OrderPayment,
    deadline: Instant,
) -> OrderPayment {
    let mut changes = app.store.subscribe(payment.order_id);
    payment = reload(app, payment.order_id).await.unwrap_or(payment);
    while payment.is_undecided() && Instant::now() < deadline {
        payment = next(app, &mut changes, payment, deadline).await;
    }
    payment
}

/// The payment after its next change, or after a pause.
async fn next(
    app: &App,
    changes: &mut Subscription,
    payment: OrderPayment,
    deadline: Instant,
) -> OrderPayment {
    match changes.changed(deadline).await {
        // Two tasks of this process may publish their writes in the wrong order.
        Some(changed) if changed.version > payment.version => changed,
        Some(_) => payment,
        None => reload(app, payment.order_id).await.unwrap_or(payment),
    }
}

/// The payment's present state. None: the database doesn't respond. That doesn't make the response a 503, because a
/// confirmation may have been sent.
async fn reload(app: &App, order: OrderId) -> Option<OrderPayment> {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let store = app.store.clone();
    // In a task of its own, so that the driver's future isn't dropped before it is done.
    let find = tokio::spawn(async move { store.find(order).await }.in_current_span());
    tokio::time::timeout(TIMEOUT, find).await.ok()?.ok()?.ok()?
}

fn missing() -> Error {
    Error::not_found("payment")
}
