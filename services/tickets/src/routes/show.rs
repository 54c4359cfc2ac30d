//! `GET /api/tickets/{id}`: shows a ticket to anyone.

use axum::extract::State;
use axum::response::Response;
use common::ids::TicketId;
use httpkit::conditional::IfNoneMatch;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};

use super::errors::not_found;
use crate::state::App;
use crate::view::{self, TicketView};

pub async fn handle(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    PathId(id): PathId<TicketId>,
    if_none_match: IfNoneMatch,
) -> Result<Response> {
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    let (viewer, now) = (viewer.as_ref(), app.clock.now());
    if if_none_match.includes(ticket.version) && view::depends_on_version(&ticket, viewer, now) {
        return Ok(view::not_modified(&ticket, viewer));
    }
    let ticket = app.store.recount(vec![ticket], now).await?.pop().ok_or_else(not_found)?;
    Ok(view::one(ticket, viewer, now))
}

pub fn call() -> Call {
    Call::get("show", "/api/tickets/{id}", "Show a ticket")
        .for_viewers()
        .if_none_match()
        .ok_versioned::<TicketView>("The ticket.")
}
