//! `DELETE /api/tickets/{id}`: removes a listing.

use axum::extract::State;
use common::ids::TicketId;
use common::problem;
use http::StatusCode;
use httpkit::conditional::IfMatch;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};

use super::edit::check_version;
use super::errors::{CHANGE_REFUSALS, not_found};
use crate::domain::Ticket;
use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let decide = |ticket: &Ticket| -> Result<_> {
        check_version(ticket, &user, &if_match)?;
        Ok(ticket.delete()?)
    };
    app.store.change(id, decide).await?.ok_or_else(not_found)?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::delete("delete", "/api/tickets/{id}", "Remove a ticket")
        .text("For its seller and administrators.")
        .signed_in()
        .if_match()
        .no_content("It is removed.")
        .refused(&[&problem::NOT_ALLOWED])
        .refused(&CHANGE_REFUSALS)
}
