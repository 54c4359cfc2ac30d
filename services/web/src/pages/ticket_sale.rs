//! `/tickets/{id}/sale`: the seller closes the sale of a listing, or reopens it.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::TicketId;
use common::problem;
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;

use super::ticket_edit::is_reserved_or_sold;
use super::ticket_form::Typed;
use crate::api::{Failure, TicketDraft};
use crate::forms::Form;
use crate::notice::{Next, Notice};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Deserialize)]
pub struct Input {
    /// The version of the listing that the seller saw.
    version: i64,
    closed: bool,
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(input): Form<Input>,
) -> Result<Response> {
    let page = format!("/tickets/{id}");
    // tickets takes a listing as a whole: nothing else of it changes.
    let typed = Typed::of(&visitor.api.ticket(id).await?);
    let draft = typed.draft(&app.settings.market.currency);
    let draft = TicketDraft { quantity: None, closed: Some(input.closed), ..draft };
    let notice = if input.closed { Notice::SaleClosed } else { Notice::SaleReopened };
    let next: Next = match visitor.api.edit_ticket(id, &draft, input.version).await {
        Ok(_) => {
            app.parts.forget_listing(id);
            notice.at(&page)
        }
        Err(failure) if failure.refusal(&problem::PRECONDITION_FAILED).is_some() => {
            Notice::ListingChanged.at(&page)
        }
        Err(Failure::Down(_)) => Notice::ListingDown.at(&page),
        // The page shows why.
        Err(failure) if is_reserved_or_sold(&failure) => page.into(),
        Err(failure) => return Err(failure.into()),
    };
    Ok(next.into_response())
}

/// GET on the address of the form, as after signing in, redirects to the listing's page.
pub async fn back(PathId(id): PathId<TicketId>) -> Redirect {
    Redirect::to(&format!("/tickets/{id}"))
}
