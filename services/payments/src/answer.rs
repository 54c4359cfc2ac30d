//! What a buyer is told of an attempt: its end, or that there is no word from Stripe yet.

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

use crate::domain::{End, Payment, Progress, Status};
use crate::gateway::Trouble;
use crate::state::App;
use crate::view::PaymentView;
use crate::worker::{self, Outcome};

/// How long a buyer waits for Stripe's word before the answer is *processing*.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Within this time there is an answer, also if the database is silent to the last.
pub const DEADLINE: Duration = Duration::from_secs(14);

/// Drives the attempt that the request has just begun, and says what came of it.
pub async fn first(
    app: &App,
    claimed: Payment,
    key: &RequestIdentity,
    deadline: Instant,
) -> Result<Response> {
    let order = claimed.order_id;
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
    match wait(app, claimed, key, deadline).await? {
        (payment, Progress::Ended(end)) => tell(payment, end),
        (payment, Progress::UnderWay { .. }) => processing(app, payment),
        // The order ended before anything was charged.
        (payment, Progress::Unknown) => {
            payment.refusal(app.attempts, app.clock.now())?;
            Err(Error::conflict())
        }
    }
}

/// Waits for the answer to the equal request that came before. None: it came to nothing.
pub async fn again(
    app: &App,
    payment: Payment,
    key: &RequestIdentity,
    deadline: Instant,
) -> Result<Option<Response>> {
    let arrived = app.clock.now();
    match wait(app, payment, key, deadline).await? {
        (payment, Progress::Ended(end)) => tell(payment, end).map(Some),
        // By then the first answer had been *processing*.
        (payment, Progress::UnderWay { since }) if since + PATIENCE <= arrived => {
            processing(app, payment).map(Some)
        }
        (_, Progress::UnderWay { .. }) => {
            let detail = "The request that you sent under this key before is still under way.";
            Err(Error::refused(&problem::REQUEST_IN_PROGRESS, detail))
        }
        (_, Progress::Unknown) => Ok(None),
    }
}

/// How the request stands once its attempt has ended, or when it is time to answer.
async fn wait(
    app: &App,
    mut payment: Payment,
    key: &RequestIdentity,
    deadline: Instant,
) -> Result<(Payment, Progress)> {
    const PAUSE: Duration = Duration::from_millis(50);
    loop {
        payment = look(app, payment.order_id).await.unwrap_or(payment);
        let progress = payment.progress(key, app.clock.now())?;
        let under_way = matches!(progress, Progress::UnderWay { .. });
        if !under_way || Instant::now() >= deadline {
            return Ok((payment, progress));
        }
        tokio::time::sleep(PAUSE).await;
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

/// The answer to a request that has its end: each time the same, whatever the payment has become since.
pub fn tell(payment: Payment, end: End) -> Result<Response> {
    match end {
        End::Paid { version } => {
            let view = PaymentView::at(payment, Status::Completed, version).ok_or_else(missing)?;
            Ok(created(&view.location(), view.version, Json(view)))
        }
        End::Refunding { version } => {
            let view = PaymentView::at(payment, Status::Refunding, version).ok_or_else(missing)?;
            Ok(accepted(&view.location(), Json(view)))
        }
        End::Declined { code, attempts_left: left } => {
            let detail = format!("The card was declined ({code}). You can try {left} more times.");
            Err(Error::refused(&problem::CARD_DECLINED, detail)
                .with("declineCode", code)
                .with("attemptsLeft", left))
        }
    }
}

/// 202: there is no word from Stripe yet. It comes; the buyer must not pay again.
fn processing(app: &App, payment: Payment) -> Result<Response> {
    let view = PaymentView::of(payment, app.attempts).ok_or_else(missing)?;
    Ok(accepted(&view.location(), Json(view)))
}

fn missing() -> Error {
    Error::not_found("payment")
}
