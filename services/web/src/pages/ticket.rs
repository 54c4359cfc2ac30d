//! `/tickets/{id}`: one listing, its current state, and the form to buy from it.

mod purchase;
mod structured_data;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use common::ids::TicketId;
use common::listing::Delivery;
use common::{Quantity, Time};
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::PathId;

use crate::api::{Failure, Ticket, TicketStatus};
use crate::format::{Countdown, When, price, product, ticket_colour};
use crate::forms::{FormErrors, new_key, with_query};
use crate::page::{Cache, Frame, Page};
use crate::parts::Part;
use crate::state::App;
use crate::visitor::Visitor;

pub use purchase::buy;

/// What a listing takes besides its texts, in bytes.
const TICKET: usize = 512;

#[derive(Template)]
#[template(path = "ticket.html")]
struct TicketPage {
    frame: Frame,
    ticket: Ticket,
    price: String,
    date: Option<When>,
    is_past: bool,
    reservation: Option<Countdown>,
    viewer: Viewer,
    colour: usize,
    canonical: String,
    json_ld: String,
    purchase: PurchaseForm,
}

/// The form to buy, as it is shown.
struct PurchaseForm {
    key: String,
    errors: FormErrors,
    /// The preselected number of places.
    quantity: u16,
    /// No more than so many are left, as orders has just said.
    at_most: Option<u16>,
}

/// The visitor's relation to the ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Viewer {
    Anyone,
    SignedIn,
    Seller,
    /// Has reserved or bought it.
    Buyer,
}

impl Default for PurchaseForm {
    fn default() -> Self {
        PurchaseForm { key: new_key(), errors: FormErrors::none(), quantity: 1, at_most: None }
    }
}

impl Page for TicketPage {
    const CACHE: Cache = Cache::Anyone;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl TicketPage {
    fn sign_in(&self) -> String {
        with_query("/auth/signin", &[("next", &format!("/tickets/{}", self.ticket.id))])
    }

    /// Announced to screen readers when the state changes; not each time when one of many is sold.
    fn announcement(&self) -> &'static str {
        match (self.ticket.status, self.viewer) {
            (TicketStatus::Available, _) if self.ticket.is_many() => "Tickets are on sale.",
            (TicketStatus::Available, _) => "This ticket is on sale.",
            (TicketStatus::Closed | TicketStatus::Unknown, _) => {
                "This ticket isn’t on sale at the moment."
            }
            (TicketStatus::Reserved, _) if self.ticket.is_many() => {
                "All tickets that are left are reserved."
            }
            (TicketStatus::Reserved, Viewer::Buyer) => "This ticket is reserved for you.",
            (TicketStatus::Reserved, Viewer::Anyone | Viewer::SignedIn) => {
                "Someone else is buying this ticket."
            }
            (TicketStatus::Reserved, Viewer::Seller) => "A buyer is at checkout.",
            (TicketStatus::Sold, _) if self.ticket.is_many() => "All tickets have been sold.",
            (TicketStatus::Sold, Viewer::Buyer) => "You bought this ticket.",
            (TicketStatus::Sold, Viewer::Anyone | Viewer::SignedIn | Viewer::Seller) => {
                "This ticket has been sold."
            }
        }
    }

    /// Names the ticket's state, as this visitor sees it, for tests.
    fn state(&self) -> &'static str {
        match (self.ticket.status, self.viewer) {
            (TicketStatus::Available, _) if self.is_past => "ticket-past",
            (TicketStatus::Available, _) => "ticket-available",
            (TicketStatus::Closed, _) => "ticket-closed",
            (TicketStatus::Unknown, _) => "ticket-unknown",
            (TicketStatus::Reserved, Viewer::Buyer) => "ticket-reserved-for-me",
            (TicketStatus::Reserved, Viewer::Anyone | Viewer::SignedIn | Viewer::Seller) => {
                "ticket-reserved"
            }
            (TicketStatus::Sold, Viewer::Buyer) => "ticket-bought",
            (TicketStatus::Sold, Viewer::Anyone | Viewer::SignedIn | Viewer::Seller) => {
                "ticket-sold"
            }
        }
    }

    /// How many places the form offers, with what they cost together.
    fn choices(&self) -> Vec<(u16, String)> {
        let (least, most) = self.ticket.choices().into_inner();
        let most = self.purchase.at_most.map_or(most, |left| most.min(left.max(1)));
        let Ticket { price, currency, .. } = &self.ticket;
        let label = |number: u16| match number {
            1 => format!("1 × {}", self.price),
            _ => product(Quantity::new(number), *price, currency),
        };
        (least..=most).map(|number| (number, label(number))).collect()
    }

    /// The total of all places, with its parts, if they are sold together.
    fn total_of_all(&self) -> String {
        product(self.ticket.quantity, self.ticket.price, &self.ticket.currency)
    }

    /// The description for search engines and link previews.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.date.as_ref().map(|date| format!("{}, {}", date.date, date.time)));
        parts.extend(self.ticket.venue.clone());
        parts.push(self.price.clone());
        parts.join(" · ")
    }
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    respond(&app, &visitor, id, StatusCode::OK, PurchaseForm::default()).await
}

/// The listing as anyone sees it.
async fn shared(app: &App, visitor: &Visitor, id: TicketId) -> Result<Arc<Part<Ticket>>, Failure> {
    let read = async {
        let resume_token = app.live.hub.resume_token();
        let content = visitor.api.anonymous().ticket(id).await?;
        let valid_until = content.reserved_until.unwrap_or(Time::NEVER);
        let texts = [Some(&content.title), content.description.as_ref(), content.venue.as_ref()];
        let size = texts.into_iter().flatten().map(String::len).sum::<usize>() + TICKET;
        Ok(Part { content, resume_token, size, valid_until })
    };
    app.parts.tickets.get(&id, visitor.max_age, &visitor.request, read).await
}

/// Whether tickets may show them more than to others: the order of a listing of one. Or they may have just changed it.
fn may_see_more(visitor: &Visitor, ticket: &Ticket) -> bool {
    let has_order = match ticket.status {
        TicketStatus::Available | TicketStatus::Closed => false,
        TicketStatus::Reserved | TicketStatus::Sold => !ticket.is_many(),
        TicketStatus::Unknown => true,
    };
    visitor.user().is_some_and(|user| has_order || user.is_admin() || user.id == ticket.user_id)
}

async fn respond(
    app: &App,
    visitor: &Visitor,
    id: TicketId,
    status: StatusCode,
    purchase: PurchaseForm,
) -> Result<Response> {
    let shared = shared(app, visitor, id);
    let (shared, frame) = tokio::join!(shared, Frame::of(app, visitor));
    let shared = shared?;
    let (ticket, frame) = if may_see_more(visitor, &shared.content) {
        (visitor.api.ticket(id).await?, frame)
    } else {
        (shared.content.clone(), frame.with_part_of(app, &shared.resume_token))
    };
    let viewer = match visitor.user() {
        None => Viewer::Anyone,
        Some(user) if user.id == ticket.user_id => Viewer::Seller,
        Some(user) if ticket.order_id.is_some() && !user.is_admin() => Viewer::Buyer,
        Some(_) => Viewer::SignedIn,
    };
    let zone = &app.settings.market.time_zone;
    let canonical = app.absolute(&format!("/tickets/{id}"));
    TicketPage {
        frame,
        price: price(ticket.price, &ticket.currency),
        date: ticket.date.map(|date| When::of(date, &ticket.time_zone)),
        is_past: structured_data::is_past(&ticket, visitor.now),
        reservation: ticket.reserved_until.map(|end| Countdown::to(end, visitor.now, zone)),
        viewer,
        colour: ticket_colour(id),
        json_ld: structured_data::json_ld(&ticket, &canonical, visitor.now),
        canonical,
        purchase,
        ticket,
    }
    .show_as(status)
}
