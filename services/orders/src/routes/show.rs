//! `GET /api/orders/{id}`: one order, for its buyer and its ticket's seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};

use crate::domain::UserReplica;
use crate::state::App;
use crate::view::OrderView;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let order = super::order_for(&app, &user, id).await?;
    let counterparty = match order.counterparty(user.id) {
        Some(id) => app.store.user(id).await?,
        None => None,
    };
    let is_shown = |user: &UserReplica| user.is_shown(app.require_verified_email);
    let (version, paid_at, seller) = (order.version, order.paid_at, order.seller_id);
    let was_paid = order.was_paid();
    let mut view =
        OrderView::of(order, app.clock.now()).with_contact(counterparty.filter(is_shown));
    if was_paid {
        view = view.with_receipt(paid_at, app.store.user(seller).await?.filter(is_shown));
    }
    Ok(personal(Some(version), Json(view)))
}

pub fn call() -> Call {
    Call::get("show", "/api/orders/{id}", "Show an order")
        .text("For its buyer, its ticket's seller, and administrators.")
        .signed_in()
        .ok_versioned::<OrderView>("The order.")
        .refused(&[&problem::NOT_ALLOWED])
}
