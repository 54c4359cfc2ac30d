//! `PUT /api/orders/{id}/handover`: the seller says that the ticket is sent; the buyer, that it has arrived, or what is wrong.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::events::HandoverState;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem;
use common::problem::Violation;
use common::text;
use httpkit::extract::{Body, PathId};
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::Report;
use crate::state::App;
use crate::view::OrderView;

const MAX_MESSAGE_CHARS: usize = 1000;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewHandover)]
pub struct Input {
    #[schema(value_type = HandoverState)]
    state: String,
    /// What is wrong, of a problem.
    message: Option<String>,
}

impl Input {
    fn parse(self) -> Result<Report> {
        match self.state.as_str() {
            "sent" => Ok(Report::Sent),
            "received" => Ok(Report::Received),
            "problem" => self.problem(),
            _ => Err(invalid("state", "must be sent, received or problem")),
        }
    }

    fn problem(self) -> Result<Report> {
        let message = text::multi_line(&self.message.unwrap_or_default(), MAX_MESSAGE_CHARS)
            .map_err(|error| invalid("message", error.to_string()))?;
        message.map(Report::Problem).ok_or_else(|| invalid("message", "must not be empty"))
    }
}

fn invalid(field: &'static str, rule: impl Into<String>) -> Error {
    Error::invalid([Violation::of(field, rule)])
}

/// Who says it.
fn action(report: &Report) -> Action {
    match report {
        Report::Sent => Action::SendTicket,
        Report::Received | Report::Problem(_) => Action::ReportDelivery,
    }
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
    Body(input): Body<Input>,
) -> Result<impl IntoResponse> {
    let report = input.parse()?;
    let now = app.clock.now();
    let order = app.store.try_update(id, |order| {
        user.require(action(&report), order.owners())?;
        Ok::<_, Error>(order.report(&report, now)?)
    });
    let order = order.await?.ok_or_else(|| Error::not_found("order"))?;
    let version = order.version;
    Ok(personal(Some(version), Json(OrderView::of(order, now))))
}

pub fn call() -> Call {
    Call::put("handOver", "/api/orders/{id}/handover", "Say what became of a delivery")
        .text("Its ticket's seller says `sent`; its buyer `received`, or `problem` with a message; an administrator any of them.")
        .signed_in()
        .body::<Input>()
        .max_chars(&[("message", MAX_MESSAGE_CHARS)])
        .ok_versioned::<OrderView>("The order.")
        .refused(&[
            &problem::NOT_ALLOWED,
            &problem::ORDER_NOT_COMPLETE,
            &problem::NOTHING_TO_HAND_OVER,
        ])
}
