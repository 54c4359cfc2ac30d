//! `POST /api/payments/{id}/refund`: the ticket's seller gives the money back.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::auth::CurrentUser;
use common::error::{Error, Result, problems};
use common::extract::PathId;
use common::ids::PaymentId;
use common::permissions::{self, Action};
use common::server::accepted;

use crate::app::App;
use crate::view::PaymentView;

pub async fn refund(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<PaymentId>,
) -> Result<impl IntoResponse> {
    let missing = || Error::not_found("payment");
    let payment = app.store.by_payment(id).await?.ok_or_else(missing)?;
    permissions::require(&user, Action::Refund, payment.owners())?;
    let asked = app.store.payments.change(payment.order_id, |payment| {
        let change = payment.refund(app.clock.now());
        change.map(Some).ok_or_else(|| {
            Error::refused(
                &problems::NOT_REFUNDABLE,
                "Only a completed payment can be refunded, once.",
            )
        })
    });
    let payment = asked.await?.ok_or_else(missing)?;
    // The worker asks Stripe; the order's end and the ticket's return follow from the refund.
    app.work.notify_one();
    let view = PaymentView::of(payment, app.attempts).ok_or_else(missing)?;
    Ok(accepted(&view.location(), Json(view)))
}
