//! `GET /api/tickets/{id}`: anyone looks at a ticket.

use axum::extract::State;
use axum::response::Response;
use common::Result;
use common::auth::CurrentUser;
use common::extract::PathId;
use common::ids::TicketId;

use crate::app::App;
use crate::view;

pub async fn show(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    let ticket = app.store.ticket(id).await?;
    Ok(view::one(ticket, viewer.as_ref(), app.clock.now()))
}
