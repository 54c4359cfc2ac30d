//! `GET /api/orders/{id}`: one order, for its buyer and its ticket's seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
use common::permissions::Action;
use httpkit::extract::PathId;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};

use crate::state::App;
use crate::view::OrderView;

pub async fn show(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let order = app.store.orders.get(id).await?.ok_or_else(|| Error::not_found("order"))?;
    user.require(Action::ViewOrder, order.owners())?;
    let other_side = match order.other_side(user.id) {
        Some(person) => app.store.person(person).await?,
        None => None,
    };
    let version = order.version;
    let view = OrderView::of(order, app.clock.now()).with_contact(other_side);
    Ok(personal(Some(version), Json(view)))
}
