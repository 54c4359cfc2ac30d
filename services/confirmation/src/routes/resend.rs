//! `POST /api/orders/{id}/resend-confirmation`: the buyer gets the confirmation of a paid order once more.

use axum::extract::State;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem;
use httpkit::extract::{OptionalBody, PathId};
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::openapi::AnyObject;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use serde::de::IgnoredAny;
use store::StoredResponse;

use crate::domain::{Mail, OrderReplica};
use crate::state::App;
use crate::view;
use crate::view::MailView;

/// How often the number of a mail is chosen again because a concurrent request was faster.
const MAX_ATTEMPTS: usize = 32;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
    Idempotent(request, OptionalBody(IgnoredAny)): Idempotent<OptionalBody<IgnoredAny>>,
) -> Result<StoredResponse> {
    let order = super::order_of_buyer(&app, &user, Action::ResendConfirmation, id).await?;
    let response = app.store.run_once(&request, resend(&app, &request, &order)).await?;
    app.wake_worker.notify_one();
    Ok(response)
}

pub fn call() -> Call {
    Call::post(
        "resend",
        "/api/orders/{id}/resend-confirmation",
        "Send the confirmation of an order again",
    )
    .text(
        "For its buyer and administrators. At most once a minute, and three times within 24 hours.",
    )
    .signed_in()
    .optional_body::<AnyObject>()
    .idempotent()
    .created::<MailView>("The mail, which is `queued`.")
    .refused(&[&problem::NOT_ALLOWED, &problem::ORDER_NOT_COMPLETE])
}

/// The mail's id has its number, so that of two concurrent requests one decides again, and counts the other's mail.
async fn resend(
    app: &App,
    request: &RequestIdentity,
    OrderReplica { id, order, .. }: &OrderReplica,
) -> Result<StoredResponse> {
    for _ in 0..MAX_ATTEMPTS {
        let mails = app.store.mails_about(*id).await?;
        let mail = Mail::resend(order, &mails, app.clock.now())?;
        let response = view::created(&mail, format!("/api/orders/{id}/mails"))?;
        if app.store.write_for(request, &response, &mail).await? {
            return Ok(response);
        }
    }
    Err(Error::conflict())
}
