//! `/tickets/{id}/edit`: its seller says everything about a ticket anew.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::TicketId;
use common::problem;
use http::StatusCode;
use httpkit::extract::PathId;
use httpkit::{Error, Result};

use super::ticket_form::{self, FIELDS, Offer, Typed};
use crate::api::{Failure, Ticket, TicketStatus};
use crate::app::App;
use crate::forms::{Complaints, Form};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "ticket-edit.html")]
struct EditTicketPage {
    frame: Frame,
    id: TicketId,
    typed: Typed,
    complaints: Complaints,
    offer: Offer,
}

impl Page for EditTicketPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl EditTicketPage {
    fn new(app: &App, frame: Frame, id: TicketId, typed: Typed, complaints: Complaints) -> Self {
        EditTicketPage { frame, id, typed, complaints, offer: Offer::of(app) }
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user }: SignedIn,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    let (ticket, frame) = tokio::join!(visitor.api.ticket(id), Frame::of(&app, &visitor));
    let ticket = ticket?;
    if ticket.user_id != user.id && !user.is_admin() {
        return Err(Error::not_allowed("The ticket is someone else's."));
    }
    match ticket.status {
        TicketStatus::Available => {}
        // Its own page says why not.
        TicketStatus::Reserved | TicketStatus::Sold => {
            return Ok(Redirect::to(&format!("/tickets/{id}")).into_response());
        }
    }
    EditTicketPage::new(&app, frame, id, Typed::of(&ticket), Complaints::none()).show()
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(mut typed): Form<Typed>,
) -> Result<Response> {
    let (status, complaints) = match typed.draft() {
        Err(complaints) => (StatusCode::UNPROCESSABLE_ENTITY, complaints),
        Ok(draft) => match visitor.api.edit_ticket(id, &draft, typed.version).await {
            Ok(_) => return Ok(to(&Notice::Edited.at(&format!("/tickets/{id}")))),
            Err(failure) if is_an_order_s(&failure) => return Ok(to(&format!("/tickets/{id}"))),
            Err(failure) if failure.refusal(&problem::PRECONDITION_FAILED).is_some() => {
                typed.version = present(&visitor, id).await?.version;
                let text = "The ticket was changed elsewhere since you opened this page. Here is what \
                    you typed: save it again to replace the other change.";
                (StatusCode::UNPROCESSABLE_ENTITY, Complaints::of(text))
            }
            Err(failure) if says_no(&failure) => return Err(failure.into()),
            Err(failure) => Complaints::from_failure(&failure, FIELDS),
        },
    };
    let frame = Frame::of(&app, &visitor).await;
    EditTicketPage::new(&app, frame, id, typed, complaints).show_as(status)
}

/// Whether someone holds or has bought the ticket meanwhile.
pub(super) fn is_an_order_s(failure: &Failure) -> bool {
    let problems = [problem::TICKET_RESERVED, problem::TICKET_SOLD];
    problems.iter().any(|problem| failure.refusal(problem).is_some())
}

/// Whether it isn't about what was typed.
fn says_no(failure: &Failure) -> bool {
    let problems = [problem::NOT_ALLOWED, problem::NOT_FOUND, problem::NOT_SIGNED_IN];
    problems.iter().any(|problem| failure.refusal(problem).is_some())
}

async fn present(visitor: &Visitor, id: TicketId) -> Result<Ticket> {
    Ok(visitor.api.ticket(id).await?)
}

fn to(address: &str) -> Response {
    Redirect::to(address).into_response()
}
