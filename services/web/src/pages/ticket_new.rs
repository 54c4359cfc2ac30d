//! `/tickets/new`: a ticket is offered, from scratch or like another one.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::TicketId;
use common::problem;
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::Query;
use serde::Deserialize;

use super::ticket_form::{self, FIELDS, Offer, Typed};
use crate::app::App;
use crate::forms::{Complaints, Form, new_key};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::SignedIn;

#[derive(Template)]
#[template(path = "ticket-new.html")]
struct NewTicketPage {
    frame: Frame,
    typed: Typed,
    complaints: Complaints,
    offer: Offer,
}

impl Page for NewTicketPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl NewTicketPage {
    fn new(app: &App, frame: Frame, typed: Typed, complaints: Complaints) -> Self {
        NewTicketPage { frame, typed, complaints, offer: Offer::of(app) }
    }
}

#[derive(Deserialize)]
pub struct Asked {
    /// The ticket that the new one is to be like.
    like: Option<TicketId>,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let like = async {
        // One that can't be had is as good as none.
        visitor.api.ticket(asked.like?).await.ok().map(|ticket| Typed::of(&ticket))
    };
    let (like, frame) = tokio::join!(like, Frame::of(&app, &visitor));
    let typed = like.unwrap_or_else(|| Typed::empty(&app.settings.market.time_zone));
    let typed = Typed { key: new_key(), ..typed };
    NewTicketPage::new(&app, frame, typed, Complaints::none()).show()
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    Form(mut typed): Form<Typed>,
) -> Result<Response> {
    let (status, complaints) = match typed.draft() {
        Err(complaints) => (StatusCode::UNPROCESSABLE_ENTITY, complaints),
        Ok(draft) => match visitor.api.list_ticket(&draft, &typed.key).await {
            Ok(ticket) => {
                let next = Notice::Listed.at(&format!("/tickets/{}", ticket.id));
                return Ok(Redirect::to(&next).into_response());
            }
            Err(failure) if failure.refusal(&problem::IDEMPOTENCY_KEY_REUSED).is_some() => {
                typed.key = new_key();
                let text = "You have put a ticket on sale with this form already; My sales shows it. \
                    If this is another one, send it again.";
                (StatusCode::UNPROCESSABLE_ENTITY, Complaints::of(text))
            }
            Err(failure) => Complaints::from_failure(&failure, FIELDS),
        },
    };
    let frame = Frame::of(&app, &visitor).await;
    NewTicketPage::new(&app, frame, typed, complaints).show_as(status)
}
