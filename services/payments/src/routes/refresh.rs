//! `POST /api/payments/{id}/refresh`: the buyer comes back from their bank. What has become of the PaymentIntent is
//! asked of Stripe at once.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::{Id, PaymentId};
use common::permissions::Action;
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use tokio::time::Instant;
use tracing::Instrument;

use crate::state::App;
use crate::view::PaymentView;
use crate::{response, worker};

/// Within this time there is a response, also while Stripe doesn't respond, or orders hasn't decided.
const TIMEOUT: Duration = Duration::from_secs(4);

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<PaymentId>,
) -> Result<impl IntoResponse> {
    let deadline = Instant::now() + TIMEOUT;
    let missing = || Error::not_found(PaymentId::NAMES);
    let payment = super::payment_for(&app, &user, Action::Pay, id).await?;
    let (worker_app, order) = (app.clone(), payment.order_id);
    // In a task of its own, which continues after the deadline.
    let refresh = async move {
        if let Err(failure) = worker::refresh(&worker_app, order).await {
            tracing::warn!(%order, ?failure, "could not retrieve the PaymentIntent");
        }
    };
    let refreshed = tokio::spawn(refresh.in_current_span());
    if tokio::time::timeout_at(deadline, refreshed).await.is_err() {
        tracing::warn!(%order, "Stripe has not responded in time");
    }
    let payment = app.store.find_by_payment(id).await?.ok_or_else(missing)?;
    let payment = response::wait_for_decision(&app, payment, deadline).await;
    let view = PaymentView::for_user(user.id, payment, app.limits).ok_or_else(missing)?;
    Ok(personal(Some(view.version.get()), Json(view)))
}

pub fn call() -> Call {
    Call::post("refresh", "/api/payments/{id}/refresh", "Ask Stripe what has become of a payment")
        .text("For its payer, who comes back from their bank.")
        .signed_in()
        .ok_versioned::<PaymentView>("The payment.")
        .refused(&[&problem::NOT_ALLOWED])
}
