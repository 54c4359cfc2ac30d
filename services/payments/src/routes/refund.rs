//! `POST /api/payments/{id}/refund`: the ticket's seller gives the money back.

use axum::extract::State;
use axum::response::Response;
use common::ids::PaymentId;
use common::permissions::Action;
use httpkit::extract::{AnyBody, PathId};
use httpkit::idempotency::Idempotent;
use httpkit::{CurrentUser, Error, Result};

use crate::answer;
use crate::domain::Progress;
use crate::state::App;

pub async fn refund(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<PaymentId>,
    Idempotent(key, AnyBody): Idempotent<AnyBody>,
) -> Result<Response> {
    app.store.check(&key).await?;
    let missing = || Error::not_found("payment");
    let payment = app.store.by_payment(id).await?.ok_or_else(missing)?;
    user.require(Action::Refund, payment.owners())?;
    let now = app.clock.now();
    let asked =
        app.store.payments.change(payment.order_id, |payment| payment.refund_for(&key, now));
    let payment = asked.await?.ok_or_else(missing)?;
    // The worker asks Stripe; the order's end and the ticket's return follow from the refund.
    app.work.notify_one();
    // Both who asks first and who asks again find what was written for them.
    match payment.progress(&key, now)? {
        Progress::Ended(end) => answer::tell(payment, end),
        Progress::UnderWay { .. } | Progress::Unknown => Err(Error::conflict()),
    }
}
