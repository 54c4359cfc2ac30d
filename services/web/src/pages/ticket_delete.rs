//! `/tickets/{id}/delete`: GET asks for confirmation, POST removes the listing.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::ids::TicketId;
use common::problem;
use httpkit::extract::PathId;
use httpkit::{Error, Result};
use serde::Deserialize;

use super::ticket_edit::is_reserved_or_sold;
use crate::api::Ticket;
use crate::forms::Form;
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "ticket-delete.html")]
struct DeleteTicketPage {
    frame: Frame,
    ticket: Ticket,
}

impl Page for DeleteTicketPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Input {
    version: i64,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user }: SignedIn,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    let (ticket, frame) = tokio::join!(visitor.api.ticket(id), Frame::of(&app, &visitor));
    let ticket = ticket?;
    if ticket.user_id != user.id && !user.is_admin() {
        return Err(Error::not_allowed("The ticket belongs to another user."));
    }
    DeleteTicketPage { frame, ticket }.show()
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(input): Form<Input>,
) -> Result<Response> {
    let ticket = format!("/tickets/{id}");
    let next = match visitor.api.delete_ticket(id, input.version).await {
        Ok(()) => {
            app.parts.forget_listing(id);
            Notice::Deleted.at("/sales")
        }
        // Already deleted, as by a second click.
        Err(failure) if failure.refusal(&problem::NOT_FOUND).is_some() => {
            "/sales".to_owned().into()
        }
        Err(failure) if is_reserved_or_sold(&failure) => ticket.into(),
        Err(failure) if failure.refusal(&problem::PRECONDITION_FAILED).is_some() => {
            Notice::ListingChanged.at(&ticket)
        }
        Err(failure) => return Err(failure.into()),
    };
    Ok(next.into_response())
}
