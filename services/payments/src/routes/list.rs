//! `GET /api/payments?orderId=`: an order's payment, if there is one yet.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::events::Stream;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem::Violation;
use httpkit::extract::Query;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};
use store::read_your_writes;

use crate::state::App;
use crate::view::PaymentView;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    order_id: Option<String>,
}

#[derive(Serialize)]
struct List {
    payments: Vec<PaymentView>,
}

pub async fn list(
    State(app): State<App>,
    user: CurrentUser,
    Query(input): Query<Input>,
) -> Result<impl IntoResponse> {
    let Some(order) = input.order_id else {
        return Err(Error::invalid([Violation::of("orderId", "must be given")]));
    };
    let missing = || Error::not_found("order");
    let order: OrderId = order.parse().map_err(|_| missing())?;
    let disconnected = || app.consumers.is_disconnected(Stream::Orders);
    let find = async || Ok(app.store.payments.get(order).await?);
    let payment = read_your_writes(order.created_at(), app.clock.now(), disconnected, find).await?;
    let payment = payment.ok_or_else(missing)?;
    user.require(Action::ViewPayment, payment.owners())?;
    let payments = PaymentView::of(payment, app.attempts).into_iter().collect();
    Ok(personal(None, Json(List { payments })))
}
