//! `GET /api/tickets/{id}`: anyone looks at a ticket.

use axum::extract::State;
use axum::response::Response;
use common::ids::TicketId;
use httpkit::extract::PathId;
use httpkit::{CurrentUser, Result};

use crate::state::App;
use crate::view;

pub async fn show(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    let ticket = app.store.ticket(id).await?;
    Ok(view::one(ticket, viewer.as_ref(), app.clock.now()))
}
