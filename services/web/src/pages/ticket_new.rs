//! `/tickets/new`: lists a ticket, from scratch or from an earlier one.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::ids::TicketId;
use common::problem;
use http::StatusCode;
use httpkit::Result;
use serde::Deserialize;

use super::ticket_form::{self, PriceRules, Typed};
use crate::forms::{FieldError, Form, FormErrors, PageQuery, new_key};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "ticket-new.html")]
struct NewTicketPage {
    frame: Frame,
    typed: Typed,
    errors: FormErrors,
    price_rules: PriceRules,
}

impl Page for NewTicketPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl NewTicketPage {
    fn new(app: &App, frame: Frame, typed: Typed, errors: FormErrors) -> Self {
        NewTicketPage { frame, typed, errors, price_rules: PriceRules::of(app) }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Params {
    /// The id of the listing to prefill the form from.
    like: String,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let like = async {
        // The form works without it.
        let id: TicketId = params.like.parse().ok()?;
        visitor.api.ticket(id).await.ok().map(|ticket| Typed::of(&ticket))
    };
    let (like, frame) = tokio::join!(like, Frame::of(&app, &visitor));
    let typed = like.unwrap_or_else(Typed::new);
    let typed = Typed { key: new_key(), ..typed };
    NewTicketPage::new(&app, frame, typed, FormErrors::none()).show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Result<Response> {
    let mut typed = typed.canonical();
    let listed = match visitor.check_session() {
        Ok(()) => {
            visitor.api.list_ticket(&typed.draft(&app.settings.market.currency), &typed.key).await
        }
        Err(failure) => Err(failure),
    };
    let (status, errors) = match listed {
        Ok(ticket) => {
            app.parts.forget_listing(ticket.id);
            let next = Notice::Listed.at(&format!("/tickets/{}", ticket.id));
            return Ok(next.into_response());
        }
        Err(failure) if failure.is_not_signed_in() => {
            (StatusCode::UNPROCESSABLE_ENTITY, FieldError::signed_out("/tickets/new").into())
        }
        Err(failure) if failure.refusal(&problem::EMAIL_NOT_VERIFIED).is_some() => {
            let text = "Confirm your email address before you sell: open the link that we sent you, \
                or get another one in your account. Your entries are still here.";
            (
                StatusCode::FORBIDDEN,
                FieldError::of_form(text).linked_in_a_new_tab("/account", "My account").into(),
            )
        }
        Err(failure) if failure.refusal(&problem::IDEMPOTENCY_KEY_REUSED).is_some() => {
            typed.key = new_key();
            let listed = "You’ve already listed this ticket. To list another one, submit again.";
            let listed = FieldError::of_form(listed).linked("/sales", "My listings");
            (StatusCode::UNPROCESSABLE_ENTITY, listed.into())
        }
        Err(failure) => {
            let price_rules = PriceRules::of(&app);
            FormErrors::from_failure(&failure, |field| typed.field_error(field, &price_rules))
        }
    };
    let frame = Frame::of(&app, &visitor).await;
    NewTicketPage::new(&app, frame, typed, errors).show_as(status)
}
