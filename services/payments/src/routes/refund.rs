//! `POST /api/payments/{id}/refund`: the ticket's seller refunds the buyer.

use axum::extract::State;
use axum::response::Response;
use common::ids::{Id, PaymentId};
use common::permissions::Action;
use common::problem;
use httpkit::extract::{OptionalBody, PathId};
use httpkit::idempotency::Idempotent;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::Progress;
use crate::response;
use crate::state::App;
use crate::view::PaymentView;

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewRefund)]
pub struct Input {
    /// Whether the order's places go back on sale. A seller whose event is off must not sell them to the next buyer, so it
    /// has to be said.
    #[serde(default)]
    relist: bool,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<PaymentId>,
    Idempotent(request, OptionalBody(input)): Idempotent<OptionalBody<Input>>,
) -> Result<Response> {
    app.store.check_key(&request).await?;
    let missing = || Error::not_found(PaymentId::NAMES);
    let payment = super::payment_for(&app, &user, Action::Refund, id).await?;
    let now = app.clock.now();
    let refunding =
        app.store.begin_refund(payment.order_id, &request, input.relist, app.limits, now).await?;
    let payment = refunding.ok_or_else(missing)?;
    // The worker creates the refund; the order's cancellation and the ticket's release follow from it.
    app.wake_worker.notify_one();
    // The first request and its repeats get the same stored outcome.
    match payment.progress(&request, now)? {
        Progress::Finished(outcome) => response::respond(payment, outcome),
        Progress::InProgress { .. } | Progress::Unknown => Err(Error::conflict()),
    }
}

pub fn call() -> Call {
    Call::post("refund", "/api/payments/{id}/refund", "Refund a buyer")
        .text("For the ticket's seller and administrators. It ends the order.")
        .signed_in()
        .optional_body::<Input>()
        .idempotent()
        .accepted::<PaymentView>("It is `refunding`, and later `refunded`.")
        .refused(&[&problem::NOT_ALLOWED, &problem::NOT_REFUNDABLE])
}
