//! `GET /api/tickets/{id}`: shows a ticket to anyone.

use axum::extract::State;
use axum::response::Response;
use common::ids::TicketId;
use httpkit::extract::PathId;
use httpkit::{CurrentUser, Result};

use super::errors::not_found;
use crate::state::App;
use crate::view;

pub async fn handle(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    Ok(view::one(ticket, viewer.as_ref(), app.clock.now()))
}
