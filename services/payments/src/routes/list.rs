//! `GET /api/payments?orderId=`: an order's payment, if there is one yet.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem;
use common::problem::Violation;
use httpkit::extract::Query;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::state::App;
use crate::view::PaymentView;

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    #[param(required = true, value_type = OrderId)]
    order_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Payments)]
pub struct List {
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

pub fn call() -> Call {
    Call::get("list", "/api/payments", "Show the payment of an order")
        .text("For its payer, the ticket's seller, and administrators.")
        .signed_in()
        .query::<Input>()
        .ok::<List>("None before the first attempt, else one.")
        .refused(&[&problem::NOT_FOUND, &problem::NOT_ALLOWED])
}
