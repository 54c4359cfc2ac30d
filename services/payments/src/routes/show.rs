//! `GET /api/payments/{id}`: one payment, for its payer and the ticket's seller.

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

use crate::state::App;
use crate::view::PaymentView;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<PaymentId>,
) -> Result<impl IntoResponse> {
    let missing = || Error::not_found(PaymentId::NAMES);
    let payment = super::payment_for(&app, &user, Action::ViewPayment, id).await?;
    let view = PaymentView::for_user(user.id, payment, app.limits).ok_or_else(missing)?;
    Ok(personal(Some(view.version.get()), Json(view)))
}

pub fn call() -> Call {
    Call::get("show", "/api/payments/{id}", "Show a payment")
        .text("For its payer, the ticket's seller, and administrators.")
        .signed_in()
        .ok_versioned::<PaymentView>("The payment.")
        .refused(&[&problem::NOT_ALLOWED])
}
