//! What seller and buyer say about the handover of the ticket: a form on the order's page.

use axum::response::{IntoResponse, Response};
use common::ids::OrderId;
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;

use crate::api::{Failure, HandoverState};
use crate::forms::Form;
use crate::notice::{Next, Notice};
use crate::visitor::SignedIn;

/// Names it for tests and app.js.
pub(super) fn name(state: Option<HandoverState>) -> &'static str {
    match state {
        None => "waiting",
        Some(HandoverState::Sent) => "sent",
        Some(HandoverState::Received) => "received",
        Some(HandoverState::Problem) => "problem",
        Some(HandoverState::Unknown) => "unknown",
    }
}

#[derive(Deserialize)]
pub struct Input {
    state: String,
    #[serde(default)]
    message: String,
}

pub async fn report(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
    Form(input): Form<Input>,
) -> Result<Response> {
    let page = format!("/orders/{id}");
    let next: Next = match visitor.api.report(id, &input.state, &input.message).await {
        Ok(()) => Notice::Reported.at(&page),
        Err(Failure::Down(_)) => Notice::ReportDown.at(&page),
        Err(failure) if failure.is_about("message") => Notice::ReportUnread.at(&page),
        // The order has ended: the page says so.
        Err(Failure::Refused(refusal)) if refusal.status == 409 => page.into(),
        Err(failure) => return Err(failure.into()),
    };
    Ok(next.into_response())
}
