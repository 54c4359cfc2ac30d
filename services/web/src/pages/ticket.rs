//! `/tickets/{id}`: one ticket, its state now, and the way to buy it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::Money;
use common::ids::TicketId;
use common::problem::{self, Problem};
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;
use serde_json::json;

use crate::api::{Failure, Ticket, TicketStatus};
use crate::app::App;
use crate::format::{Countdown, When, price, stock};
use crate::forms::{Form, new_key, with_query};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "ticket.html")]
struct TicketPage {
    frame: Frame,
    ticket: Ticket,
    price: String,
    date: Option<When>,
    is_past: bool,
    held: Option<Countdown>,
    viewer: Viewer,
    stock: usize,
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

impl TicketPage {
    fn sign_in(&self) -> String {
        with_query("/auth/signin", &[("next", &format!("/tickets/{}", self.ticket.id))])
    }

    /// What is said to those who don't see it when it changes.
    fn announcement(&self) -> &'static str {
        match (self.ticket.status, self.viewer) {
            (TicketStatus::Available, _) => "The ticket is on sale.",
            (TicketStatus::Reserved, Viewer::Buyer) => "You hold the ticket.",
            (TicketStatus::Reserved, Viewer::Anyone | Viewer::SignedIn | Viewer::Seller) => {
                "Someone holds the ticket."
            }
            (TicketStatus::Sold, Viewer::Buyer) => "The ticket is yours.",
            (TicketStatus::Sold, Viewer::Anyone | Viewer::SignedIn | Viewer::Seller) => {
                "The ticket is sold."
            }
        }
    }

    /// A sentence for search engines, and for where the page is shared.
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
    let (ticket, frame) = tokio::join!(visitor.api.ticket(id), Frame::of(&app, &visitor));
    let ticket = ticket?;
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
        is_past: ticket.date.is_some_and(|date| date < visitor.now),
        held: ticket.reserved_until.map(|end| Countdown::to(end, visitor.now, zone)),
        viewer,
        stock: stock(id),
        key: new_key(),
        json_ld: json_ld(&ticket, &canonical),
        canonical,
        ticket,
    }
    .show()
}

/// The ticket for search engines: an event, if its date is known. <https://schema.org/Event>
fn json_ld(ticket: &Ticket, url: &str) -> String {
    let availability = match ticket.status {
        TicketStatus::Available => "https://schema.org/InStock",
        TicketStatus::Reserved => "https://schema.org/LimitedAvailability",
        TicketStatus::Sold => "https://schema.org/SoldOut",
    };
    let mut thing = json!({
        "@context": "https://schema.org",
        "@type": "Product",
        "name": ticket.title,
        "url": url,
        "offers": {
            "@type": "Offer",
            "url": url,
            "price": ticket.price.to_string(),
            "priceCurrency": ticket.currency.as_str().to_uppercase(),
            "availability": availability,
        },
    });
    if let Some(description) = &ticket.description {
        thing["description"] = json!(description);
    }
    if let Some(date) = ticket.date {
        thing["@type"] = json!("Event");
        thing["startDate"] = json!(When::of(date, &ticket.time_zone).iso);
        thing["eventStatus"] = json!("https://schema.org/EventScheduled");
        thing["offers"]["validFrom"] = json!(ticket.created_at);
        if let Some(venue) = &ticket.venue {
            thing["location"] = json!({ "@type": "Place", "name": venue, "address": venue });
        }
    }
    // It stands inside of a script element, which a `<` in a title must not end.
    thing.to_string().replace('<', "\\u003c")
}

#[derive(Deserialize)]
pub struct Purchase {
    /// What the buyer saw, in minor units.
    price: i64,
    key: String,
}

/// The buyer takes the ticket.
pub async fn buy(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(form): Form<Purchase>,
) -> Result<Response> {
    let seen = Money::from_minor(form.price);
    let placed = visitor.api.place_order(id, seen, &form.key).await;
    let page = format!("/tickets/{id}");
    let next = match placed {
        Ok(order) => format!("/orders/{}", order.id),
        Err(failure) => match why_not(&failure) {
            Some(WhyNot::YoursAlready(order)) => format!("/orders/{order}"),
            Some(WhyNot::Says(notice)) => notice.at(&page),
            None => return Err(failure.into()),
        },
    };
    Ok(Redirect::to(&next).into_response())
}

/// Why a ticket could not be taken.
enum WhyNot {
    /// The visitor has it: this is the order.
    YoursAlready(String),
    Says(Notice),
}

fn why_not(failure: &Failure) -> Option<WhyNot> {
    const SAID: [(Problem, Notice); 5] = [
        (problem::TICKET_RESERVED, Notice::Taken),
        (problem::TICKET_SOLD, Notice::Sold),
        (problem::TICKET_PAST, Notice::Past),
        (problem::PRICE_CHANGED, Notice::PriceChanged),
        (problem::OWN_TICKET, Notice::OwnTicket),
    ];
    match failure {
        Failure::Down(_) => Some(WhyNot::Says(Notice::OrdersDown)),
        Failure::Refused(refusal) => match refusal.member("orderId") {
            Some(order) => Some(WhyNot::YoursAlready(order.to_owned())),
            None => {
                let said = SAID.iter().find(|(problem, _)| refusal.is(problem));
                let said = said.map(|(_, notice)| *notice);
                let otherwise = (refusal.status == 409).then_some(Notice::ChangedMeanwhile);
                said.or(otherwise).map(WhyNot::Says)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_can_t_end_the_script_that_it_stands_in() {
        let ticket: Ticket = serde_json::from_value(json!({
            "id": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b",
            "title": "</script><script>alert(1)</script><!--",
            "date": "2099-01-31T18:30:00Z", "timeZone": "Europe/Berlin", "venue": "Olympia",
            "price": "20.50", "currency": "eur", "userId": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5c",
            "status": "available", "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let text = json_ld(&ticket, "https://example.com/tickets/1");
        assert!(!text.contains('<'), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"], ticket.title);
        assert_eq!(read["@type"], "Event");
        assert_eq!(read["startDate"], "2099-01-31T19:30:00+01:00");
        assert_eq!(read["offers"]["price"], "20.50");
        assert_eq!(read["offers"]["priceCurrency"], "EUR");
    }
}
