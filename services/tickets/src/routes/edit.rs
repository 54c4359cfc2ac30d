//! `PUT /api/tickets/{id}`: its seller says everything about a ticket anew.

use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use common::ids::TicketId;
use common::permissions::{Action, Owners};
use httpkit::conditional::IfMatch;
use httpkit::extract::{Body, PathId};
use httpkit::{CurrentUser, Error, Result};

use crate::domain::Ticket;
use crate::draft::{Draft, Input};
use crate::state::App;
use crate::view;

pub async fn edit(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
    seen: IfMatch,
    request: Request,
) -> Result<Response> {
    // Whether it may be changed at all is said before the body is looked at.
    may_change(&app.store.ticket(id).await?, &user, &seen)?;
    let Body(input) = Body::<Input>::from_request(request, &app).await?;
    let now = app.clock.now();
    let draft = Draft::parse(input, &app.market, now)?;
    let decide = |ticket: &Ticket| {
        may_change(ticket, &user, &seen)?;
        Ok(ticket.edit(draft.clone())?)
    };
    let ticket = app.store.change(id, decide).await?;
    Ok(view::one(ticket, Some(&user), now))
}

/// Refuses (403) all but its seller, (412) who has seen another version, (409) while it is an order's.
pub(super) fn may_change(ticket: &Ticket, user: &CurrentUser, seen: &IfMatch) -> Result<(), Error> {
    let owners = Owners { seller: ticket.user_id, buyer: ticket.buyer_id };
    user.require(Action::EditTicket, owners)?;
    seen.check(ticket.version)?;
    Ok(ticket.is_free()?)
}
