//! `GET /api/payments?orderId=`: an order's payment, if there is one yet.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::permissions::Action;
use common::problem::Violation;
use httpkit::extract::Query;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};

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

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Query(input): Query<Input>,
) -> Result<impl IntoResponse> {
    let Some(order) = input.order_id else {
        return Err(Error::invalid([Violation::of("orderId", "must be given")]));
    };
    let payment = super::find_order(&app, &order).await?;
    user.require(Action::ViewPayment, payment.owners())?;
    let payments = PaymentView::for_user(user.id, payment, app.limits).into_iter().collect();
    Ok(personal(None, Json(List { payments })))
}
