//! `/tickets/{id}`: one ticket, its state now, and the way to buy it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use common::Result;
use common::extract::PathId;
use common::ids::TicketId;

use crate::api::{Ticket, TicketStatus};
use crate::app::App;
use crate::forms::new_key;
use crate::format::{Countdown, When, price};
use crate::page::{Cache, Frame, Page};
use crate::session::Visitor;

#[derive(Template)]
#[template(path = "ticket.html")]
struct TicketPage {
    frame: Frame,
    ticket: Ticket,
    price: String,
    date: Option<When>,
    held: Option<Countdown>,
    viewer: Viewer,
    key: String,
    canonical: String,
    json_ld: String,
}

/// What the ticket is to whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Viewer {
    Anyone,
    SignedIn,
    Seller,
    /// Who holds it, or has bought it.
    Buyer,
}

impl Page for TicketPage {
    const CACHE: Cache = Cache::Anyone;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    let (ticket, frame) = tokio::join!(visitor.api.ticket(id), Frame::of(&app, &visitor));
    let ticket = ticket?;
    let viewer = match visitor.user() {
        None => Viewer::Anyone,
        Some(user) if user.id == ticket.user_id => Viewer::Seller,
        Some(user) if ticket.order_id.is_some() && !user.is_admin() => Viewer::Buyer,
        Some(_) => Viewer::SignedIn,
    };
    let zone = &app.settings.market.time_zone;
    TicketPage {
        frame,
        price: price(ticket.price, &ticket.currency),
        date: ticket.date.map(|date| When::of(date, &ticket.time_zone)),
        held: ticket.reserved_until.map(|end| Countdown::to(end, visitor.now, zone)),
        viewer,
        key: new_key(),
        canonical: app.absolute(&format!("/tickets/{id}")),
        json_ld: String::new(),
        ticket,
    }
    .show()
}
