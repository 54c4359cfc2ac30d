//! `GET /api/payments/{id}/history`: what has happened to a payment, for its payer and the ticket's seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::PaymentId;
use common::permissions::Action;
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use store::History;

use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<PaymentId>,
) -> Result<impl IntoResponse> {
    let payment = super::payment_for(&app, &user, Action::ViewPayment, id).await?;
    let history = app.store.documents().history(payment.order_id).await?;
    Ok(personal(None, Json(history.as_seen_by(&user))))
}

pub fn call() -> Call {
    Call::get("history", "/api/payments/{id}/history", "Show what has happened to a payment")
        .text("For its payer, the ticket's seller, and administrators, who see trace ids as well. The earliest first.")
        .signed_in()
        .ok::<History>("Its history.")
        .refused(&[&problem::NOT_ALLOWED])
}
