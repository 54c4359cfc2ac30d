//! `DELETE /api/orders/{id}`: cancels a reservation.

use axum::extract::State;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem;
use http::StatusCode;
use httpkit::conditional::IfMatch;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};

use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let order = app.store.try_update(id, |order| {
        user.require(Action::CancelOrder, order.owners())?;
        let change = order.cancel_by_buyer(app.clock.now())?;
        if change.is_some() {
            if_match.check(order.version)?;
        }
        Ok::<_, Error>(change)
    });
    order.await?.ok_or_else(|| Error::not_found("order"))?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::delete("cancel", "/api/orders/{id}", "Cancel a reservation")
        .text("For its buyer and administrators.")
        .signed_in()
        .if_match()
        .no_content("It is cancelled; or it was before, by its buyer.")
        .refused(&[
            &problem::NOT_ALLOWED,
            &problem::ORDER_COMPLETE,
            &problem::ORDER_EXPIRED,
            &problem::ORDER_CANCELLED,
        ])
}
