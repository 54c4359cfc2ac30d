//! `GET /api/tickets/{id}`: shows a ticket to anyone.

use axum::extract::State;
use axum::response::Response;
use common::ids::TicketId;
use httpkit::conditional::IfNoneMatch;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{Caller, CurrentUser, MaxAge, Result};

use super::errors::not_found;
use crate::state::App;
use crate::view::{self, Shown, TicketView};

pub async fn handle(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    PathId(id): PathId<TicketId>,
    if_none_match: IfNoneMatch,
    max_age: MaxAge,
    caller: Caller,
) -> Result<Response> {
    let viewer = viewer.as_ref();
    let shown = app.shared.tickets.get(&id, max_age, &caller, read(&app, id, None)).await?;
    if shown.is_personal_for(viewer) {
        return Ok(read(&app, id, viewer).await?.respond(viewer, &if_none_match));
    }
    Ok(shown.respond(viewer, &if_none_match))
}

async fn read(app: &App, id: TicketId, viewer: Option<&CurrentUser>) -> Result<Shown> {
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    let now = app.clock.now();
    let is_version_exact = view::depends_on_version(&ticket, viewer, now);
    let ticket = app.store.recount(vec![ticket], now).await?.pop().ok_or_else(not_found)?;
    Shown::one(ticket, is_version_exact, viewer, now)
}

pub fn call() -> Call {
    Call::get("show", "/api/tickets/{id}", "Show a ticket")
        .for_viewers()
        .shared()
        .if_none_match()
        .ok_versioned::<TicketView>("The ticket.")
}
