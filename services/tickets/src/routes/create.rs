//! `POST /api/tickets`: someone offers a ticket.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use common::Result;
use common::auth::CurrentUser;
use common::extract::Body;
use common::server::created;

use crate::app::App;
use crate::domain::Ticket;
use crate::draft::{Draft, Input};
use crate::view::TicketView;

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Body(input): Body<Input>,
) -> Result<Response> {
    let now = app.clock.now();
    let draft = Draft::parse(input, &app.market, now)?;
    let ticket = app.store.insert(Ticket::offer(user.id, draft, now)).await?;
    let (location, version) = (format!("/api/tickets/{}", ticket.id), ticket.version);
    let view = TicketView::of(ticket, Some(&user), now);
    Ok(created(&location, version, Json(view)))
}
