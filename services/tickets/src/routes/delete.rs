//! `DELETE /api/tickets/{id}`: its seller takes a ticket off the market.

use axum::extract::State;
use common::ids::TicketId;
use http::StatusCode;
use httpkit::conditional::IfMatch;
use httpkit::extract::PathId;
use httpkit::{CurrentUser, Result};

use super::edit::may_change;
use crate::domain::Ticket;
use crate::state::App;

pub async fn delete(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
    seen: IfMatch,
) -> Result<StatusCode> {
    let decide = |ticket: &Ticket| {
        may_change(ticket, &user, &seen)?;
        Ok(ticket.delete()?)
    };
    app.store.change(id, decide).await?;
    Ok(StatusCode::NO_CONTENT)
}
