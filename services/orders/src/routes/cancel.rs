//! `DELETE /api/orders/{id}`: give a hold up.

use axum::extract::State;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem;
use http::StatusCode;
use httpkit::conditional::IfMatch;
use httpkit::extract::PathId;
use httpkit::{CurrentUser, Error, Result};

use crate::domain::Kept;
use crate::state::App;

pub async fn cancel(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let order = app.store.orders.change(id, |order| {
        user.require(Action::CancelOrder, order.owners())?;
        let change = order.given_up(app.clock.now())?;
        if change.is_some() {
            if_match.check(order.version)?;
        }
        Ok::<_, Error>(change)
    });
    order.await?.ok_or_else(|| Error::not_found("order"))?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Kept> for Error {
    fn from(kept: Kept) -> Error {
        match kept {
            Kept::Expired => Error::refused(&problem::ORDER_EXPIRED, "The hold has run out."),
            Kept::Ended => {
                Error::refused(&problem::ORDER_CANCELLED, "The order has ended already.")
            }
            Kept::Complete => Error::refused(
                &problem::ORDER_COMPLETE,
                "The order is paid; only its seller can refund it.",
            ),
        }
    }
}
