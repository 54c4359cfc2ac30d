//! `/tickets/{id}/edit`: the seller edits a listing.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::TicketId;
use common::problem;
use http::StatusCode;
use httpkit::extract::PathId;
use httpkit::{Error, Result};

use super::ticket_form::{self, PriceRules, Typed};
use crate::api::{Failure, Ticket};
use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "ticket-edit.html")]
struct EditTicketPage {
    frame: Frame,
    id: TicketId,
    typed: Typed,
    errors: FormErrors,
    price_rules: PriceRules,
    /// Part of a listing of many is reserved or sold: what buyers rely on stays as it is.
    has_fixed_details: bool,
}

impl Page for EditTicketPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl EditTicketPage {
    fn new(app: &App, frame: Frame, id: TicketId, typed: Typed, errors: FormErrors) -> Self {
        let price_rules = PriceRules::of(app);
        EditTicketPage { frame, id, typed, errors, price_rules, has_fixed_details: false }
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
        return Err(Error::not_allowed("The ticket belongs to another user."));
    }
    // The ticket's page explains why it can't be edited.
    if !ticket.can_edit() {
        return Ok(Redirect::to(&format!("/tickets/{id}")).into_response());
    }
    let page = EditTicketPage::new(&app, frame, id, Typed::of(&ticket), FormErrors::none());
    let has_fixed_details = ticket.is_many() && ticket.available < ticket.quantity.get();
    EditTicketPage { has_fixed_details, ..page }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    PathId(id): PathId<TicketId>,
    Form(typed): Form<Typed>,
) -> Result<Response> {
    let mut typed = typed.canonical();
    let edited = match visitor.check_session() {
        Ok(()) => {
            visitor
                .api
                .edit_ticket(id, &typed.draft(&app.settings.market.currency), typed.version)
                .await
        }
        Err(failure) => Err(failure),
    };
    let (status, errors) = match edited {
        Ok(_) => {
            app.parts.forget_listing(id);
            return Ok(Notice::Edited.at(&format!("/tickets/{id}")).into_response());
        }
        Err(failure) if is_reserved_or_sold(&failure) => {
            return Ok(Redirect::to(&format!("/tickets/{id}")).into_response());
        }
        Err(failure) if failure.refusal(&problem::PRECONDITION_FAILED).is_some() => {
            typed.version = current(&visitor, id).await?.version;
            let text = "This listing was changed in another tab or device. Your version is below. \
                Save again to overwrite the other one.";
            (StatusCode::UNPROCESSABLE_ENTITY, FieldError::of_form(text).into())
        }
        Err(Failure::Refused(refusal)) if refusal.is(&problem::DETAILS_FIXED) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Typed::fixed_errors(&refusal))
        }
        Err(failure) if is_denied(&failure) => return Err(failure.into()),
        Err(failure) if failure.is_not_signed_in() => {
            let signed_out = FieldError::signed_out(&format!("/tickets/{id}/edit"));
            (StatusCode::UNPROCESSABLE_ENTITY, signed_out.into())
        }
        Err(failure) => {
            let price_rules = PriceRules::of(&app);
            FormErrors::from_failure(&failure, |field| typed.field_error(field, &price_rules))
        }
    };
    let frame = Frame::of(&app, &visitor).await;
    EditTicketPage::new(&app, frame, id, typed, errors).show_as(status)
}

/// Whether the ticket has been reserved or sold in the meantime.
pub(super) fn is_reserved_or_sold(failure: &Failure) -> bool {
    let problems = [problem::TICKET_RESERVED, problem::TICKET_SOLD];
    problems.iter().any(|problem| failure.refusal(problem).is_some())
}

/// Whether the refusal has nothing to do with the entries.
fn is_denied(failure: &Failure) -> bool {
    let problems = [problem::NOT_ALLOWED, problem::NOT_FOUND];
    problems.iter().any(|problem| failure.refusal(problem).is_some())
}

async fn current(visitor: &Visitor, id: TicketId) -> Result<Ticket> {
    Ok(visitor.api.ticket(id).await?)
}
