//! `/`: what is on sale.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use common::Result;

use crate::api::{Ticket, TicketStatus};
use crate::app::App;
use crate::format::{Countdown, When, price};
use crate::page::{Cache, Frame, Page};
use crate::session::Visitor;

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage {
    frame: Frame,
    cards: Vec<Card>,
    next: Option<String>,
}

/// A ticket in a list.
pub struct Card {
    pub ticket: Ticket,
    pub price: String,
    pub date: Option<When>,
    pub held: Option<Countdown>,
}

impl Card {
    pub fn of(app: &App, visitor: &Visitor, ticket: Ticket) -> Card {
        let zone = &app.settings.market.time_zone;
        Card {
            price: price(ticket.price, &ticket.currency),
            date: ticket.date.map(|date| When::of(date, &ticket.time_zone)),
            held: ticket.reserved_until.map(|end| Countdown::to(end, visitor.now, zone)),
            ticket,
        }
    }

    pub fn is_held(&self) -> bool {
        self.ticket.status == TicketStatus::Reserved
    }
}

impl Page for BrowsePage {
    const CACHE: Cache = Cache::Anyone;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response> {
    let query = [("limit", "24")];
    let (list, frame) = tokio::join!(visitor.api.tickets(&query), Frame::of(&app, &visitor));
    let list = list?;
    let cards = list.items.into_iter().map(|ticket| Card::of(&app, &visitor, ticket)).collect();
    BrowsePage { frame, cards, next: list.next }.show()
}
