//! `PUT /api/tickets/{id}`: replaces everything that the seller wrote about a ticket.

use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use common::ids::TicketId;
use common::permissions::{Action, Owners};
use common::problem;
use httpkit::conditional::IfMatch;
use httpkit::extract::{Body, PathId};
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};

use super::errors::{CHANGE_REFUSALS, not_found};
use crate::body::{MAX_CHARS, TicketBody};
use crate::domain::Ticket;
use crate::state::App;
use crate::view::{self, TicketView};

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
    if_match: IfMatch,
    request: Request,
) -> Result<Response> {
    // Whether the ticket can be changed at all is checked before the body.
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    check_change(&ticket, &user, &if_match)?;
    let Body(body) = Body::<TicketBody>::from_request(request, &app).await?;
    let now = app.clock.now();
    let draft = body.parse(&app.market, Some(&ticket.listing), now)?;
    let decide = |ticket: &Ticket| -> Result<_> {
        check_change(ticket, &user, &if_match)?;
        Ok(ticket.edit(draft.clone())?)
    };
    let ticket = app.store.change(id, decide).await?.ok_or_else(not_found)?;
    Ok(view::changed(ticket, &user, now))
}

pub fn call() -> Call {
    Call::put("edit", "/api/tickets/{id}", "Replace what its seller wrote about a ticket")
        .text(
            "For its seller and administrators. Omitted members are cleared, but for `quantity`, `closed` and `delivery`. Permission and \
             state are checked before the body.",
        )
        .signed_in()
        .if_match()
        .body::<TicketBody>()
        .max_chars(&MAX_CHARS)
        .ok_versioned::<TicketView>("The ticket.")
        .refused(&[&problem::NOT_ALLOWED])
        .refused(&CHANGE_REFUSALS)
}

/// Refuses anyone but the seller and admins (403), another version than the one in `If-Match` (412), and a listing of one
/// that is reserved or sold (409).
fn check_change(ticket: &Ticket, user: &CurrentUser, if_match: &IfMatch) -> Result<()> {
    check_version(ticket, user, if_match)?;
    Ok(ticket.check_changeable()?)
}

/// A listing of many is sold all the time, which gives it new versions: only another edit is a conflict with this one.
pub(super) fn check_version(ticket: &Ticket, user: &CurrentUser, if_match: &IfMatch) -> Result<()> {
    let owners = Owners { seller: ticket.user_id, buyer: ticket.buyer_id };
    user.require(Action::EditTicket, owners)?;
    if ticket.has_many() {
        if_match.check_since(ticket.edited_version, ticket.version)
    } else {
        if_match.check(ticket.version)
    }
}
