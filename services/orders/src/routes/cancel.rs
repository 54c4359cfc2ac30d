//! `DELETE /api/orders/{id}`: give a hold up.

use axum::extract::State;
use common::auth::CurrentUser;
use common::error::{Error, Result, problems};
use common::events::{CancelReason, OrderStatus};
use common::extract::{IfMatch, PathId};
use common::ids::OrderId;
use common::permissions::{self, Action};
use http::StatusCode;

use crate::app::App;

pub async fn cancel(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let order = app.store.orders.change(id, |order| {
        permissions::require(&user, Action::CancelOrder, order.owners())?;
        match order.status_at(app.clock.now()) {
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => {
                if_match.check(order.version)?;
                Ok(order.cancel(CancelReason::User))
            }
            (OrderStatus::Cancelled, Some(CancelReason::User)) => Ok(None),
            (OrderStatus::Cancelled, Some(CancelReason::Expired)) => {
                Err(Error::refused(&problems::ORDER_EXPIRED, "The hold has run out."))
            }
            (OrderStatus::Cancelled, _) => {
                Err(Error::refused(&problems::ORDER_CANCELLED, "The order has ended already."))
            }
            (OrderStatus::Complete, _) => Err(Error::refused(
                &problems::ORDER_COMPLETE,
                "The order is paid; only its seller can refund it.",
            )),
        }
    });
    order.await?.ok_or_else(|| Error::not_found("order"))?;
    Ok(StatusCode::NO_CONTENT)
}
