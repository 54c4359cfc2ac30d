//! `/tickets/{id}/orders`: who has reserved and bought tickets of a listing, for its seller.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::events::{CancelReason, OrderStatus};
use common::ids::TicketId;
use httpkit::extract::PathId;
use httpkit::{Error, Result};

use super::orders::{Params, Row};
use crate::api::Ticket;
use crate::forms::{PageQuery, with_query};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "ticket-orders.html")]
struct TicketOrdersPage {
    frame: Frame,
    ticket: Ticket,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

impl Page for TicketOrdersPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user }: SignedIn,
    PathId(id): PathId<TicketId>,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let address = format!("/tickets/{id}/orders");
    let ticket_id = id.to_string();
    let query: Vec<_> = [("as", "seller"), ("ticketId", &*ticket_id), ("limit", "20")]
        .into_iter()
        .chain(params.cursor())
        .collect();
    let (ticket, list, frame) =
        tokio::join!(visitor.api.ticket(id), visitor.api.orders(&query), Frame::of(&app, &visitor));
    let ticket = ticket?;
    if ticket.user_id != user.id {
        return Err(Error::not_allowed("The ticket belongs to another user."));
    }
    let list = match list {
        Err(failure) if failure.is_about("cursor") => {
            return Ok(Redirect::to(&address).into_response());
        }
        list => list?,
    };
    TicketOrdersPage {
        frame,
        rows: list.items.into_iter().map(|order| Row::of(&app, &visitor, order)).collect(),
        next: list.next.map(|cursor| with_query(&address, &[("cursor", &cursor)])),
        is_first: params.cursor().is_none(),
        ticket,
    }
    .show()
}
