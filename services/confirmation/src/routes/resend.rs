//! `POST /api/orders/{id}/resend-confirmation`: the buyer gets the confirmation of a paid order once more.

use axum::extract::State;
use common::ids::OrderId;
use common::permissions::Action;
use httpkit::extract::{OptionalBody, PathId};
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::{CurrentUser, Error, Result};
use serde::de::IgnoredAny;
use store::StoredResponse;

use crate::domain::{Mail, OrderReplica};
use crate::state::App;
use crate::view;

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
