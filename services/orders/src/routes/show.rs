//! `GET /api/orders/{id}`: one order, for its buyer and its ticket's seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::auth::CurrentUser;
use common::error::{Error, Result};
use common::extract::PathId;
use common::ids::OrderId;
use common::permissions::{self, Action};
use common::server::personal;

use crate::app::App;
use crate::view::OrderView;

pub async fn show(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let order = app.store.orders.get(id).await?.ok_or_else(|| Error::not_found("order"))?;
    permissions::require(&user, Action::ViewOrder, order.owners())?;
    let other_side = match order.other_side(user.id) {
        Some(person) => app.store.person(person).await?,
        None => None,
    };
    let version = order.version;
    let view = OrderView::of(order, app.clock.now()).with_contact(other_side);
    Ok(personal(Some(version), Json(view)))
}
