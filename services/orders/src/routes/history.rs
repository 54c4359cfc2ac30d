//! `GET /api/orders/{id}/history`: what has happened to an order, for its buyer and its ticket's seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
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
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    super::order_for(&app, &user, id).await?;
    let history = app.store.documents().history(id).await?;
    Ok(personal(None, Json(history.as_seen_by(&user))))
}

pub fn call() -> Call {
    Call::get("history", "/api/orders/{id}/history", "Show what has happened to an order")
        .text("For its buyer, its ticket's seller, and administrators, who see trace ids as well. The earliest first.")
        .signed_in()
        .ok::<History>("Its history.")
        .refused(&[&problem::NOT_ALLOWED])
}
