//! `POST /api/tickets/{id}/door/staff`: a user joins the door staff by the seller's link.

use axum::extract::State;
use common::ids::TicketId;
use common::problem;
use common::problem::Violation;
use common::text;
use http::StatusCode;
use httpkit::extract::{Body, PathId};
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use super::door::check_has_door;
use super::errors::not_found;
use crate::domain::{Door, Staff};
use crate::state::App;

const MAX_NAME_CHARS: usize = 100;

#[derive(Deserialize, ToSchema)]
#[schema(as = Joining)]
pub struct Input {
    #[schema(example = "k3Jd92nB0pQwX71LmZr4TaVy")]
    invitation: String,
    /// For the seller; one line.
    #[schema(required = true, nullable = false, min_length = 1, example = "Kim")]
    name: Option<String>,
}

/// Joining twice is joining once, so the request needs no key.
pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
    Body(input): Body<Input>,
) -> Result<StatusCode> {
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    check_has_door(&ticket)?;
    let name = text::one_line(&input.name.unwrap_or_default(), MAX_NAME_CHARS);
    let name = name
        .map_err(|error| error.to_string())
        .and_then(|name| name.ok_or_else(|| "must not be empty".to_owned()))
        .map_err(|rule| Error::invalid([Violation::of("name", rule)]))?;
    let new = Staff { user_id: user.id, name, since: app.clock.now() };
    let join = |door: &Door| Ok::<_, Error>(door.join(&input.invitation, new.clone())?);
    app.store.change_door(id, join).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::post("join", "/api/tickets/{id}/door/staff", "Join the door staff")
        .text("For those who have the invitation.")
        .signed_in()
        .body::<Input>()
        .max_chars(&[("name", MAX_NAME_CHARS)])
        .no_content("You belong to the door staff.")
        .refused(&[&problem::NOT_ALLOWED, &problem::NOT_CHECKED_IN_HERE])
}
