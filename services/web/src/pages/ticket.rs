//! `/tickets/{id}`: one ticket, its current state, and the form to buy it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::events::OrderStatus;
use common::ids::TicketId;
use common::problem::{self, Problem};
use common::{Money, Time};
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;
use serde_json::json;

use crate::api::{Failure, Order, Ticket, TicketStatus};
use crate::format::{Countdown, When, price, ticket_colour};
use crate::forms::{Form, new_key, with_query};
use crate::notice::{Next, Notice};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

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
    key: String,
    canonical: String,
    json_ld: String,
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

    /// Announced to screen readers when the state changes.
    fn announcement(&self) -> &'static str {
        match (self.ticket.status, self.viewer) {
            (TicketStatus::Available, _) => "This ticket is on sale.",
            (TicketStatus::Unknown, _) => "This ticket isn’t on sale at the moment.",
            (TicketStatus::Reserved, Viewer::Buyer) => "This ticket is reserved for you.",
            (TicketStatus::Reserved, Viewer::Anyone | Viewer::SignedIn) => {
                "Someone else is buying this ticket."
            }
            (TicketStatus::Reserved, Viewer::Seller) => "A buyer is at checkout.",
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
        is_past: is_past(&ticket, visitor.now),
        reservation: ticket.reserved_until.map(|end| Countdown::to(end, visitor.now, zone)),
        viewer,
        colour: ticket_colour(id),
        key: new_key(),
        json_ld: json_ld(&ticket, &canonical, visitor.now),
        canonical,
        ticket,
    }
    .show()
}

fn is_past(ticket: &Ticket, now: Time) -> bool {
    ticket.date.is_some_and(|date| date < now)
}

/// Structured data for search engines: an event, if the date is known. <https://schema.org/Event>
fn json_ld(ticket: &Ticket, url: &str, now: Time) -> String {
    let availability = match ticket.status {
        TicketStatus::Available | TicketStatus::Reserved if is_past(ticket, now) => {
            "https://schema.org/OutOfStock"
        }
        TicketStatus::Available => "https://schema.org/InStock",
        TicketStatus::Reserved => "https://schema.org/LimitedAvailability",
        TicketStatus::Sold => "https://schema.org/SoldOut",
        TicketStatus::Unknown => "https://schema.org/OutOfStock",
    };
    let mut item = json!({
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
        item["description"] = json!(description);
    }
    if let Some(date) = ticket.date {
        item["@type"] = json!("Event");
        item["startDate"] = json!(When::of(date, &ticket.time_zone).iso);
        item["eventStatus"] = json!("https://schema.org/EventScheduled");
        item["offers"]["validFrom"] = json!(ticket.created_at);
        // An event has to have a location. Sellers who leave the venue out name it in the title or the description.
        let venue = ticket.venue.as_deref().unwrap_or("See the description");
        item["location"] = json!({ "@type": "Place", "name": venue, "address": venue });
    }
    // Embedded in a script element, which a `<` in a title must not close.
    item.to_string().replace('<', "\\u003c")
}

#[derive(Deserialize)]
pub struct Purchase {
    /// The price that the buyer saw, in minor units.
    price: i64,
    /// The version of the listing that the buyer saw. (A page of the version before has none.)
    version: Option<i64>,
    key: String,
}

/// The buyer reserves the ticket.
pub async fn buy(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(form): Form<Purchase>,
) -> Result<Response> {
    let seen = Money::from_minor(form.price);
    let placed = visitor.api.place_order(id, seen, form.version, &form.key).await;
    let page = format!("/tickets/{id}");
    let next: Next = match placed {
        Ok(order) if has_ended(&visitor, &order).await => Notice::ReservationEnded.at(&page),
        Ok(order) => format!("/orders/{}", order.id).into(),
        Err(failure) => match PurchaseRefusal::of(&failure) {
            Some(PurchaseRefusal::AlreadyReserved(order)) => format!("/orders/{order}").into(),
            Some(PurchaseRefusal::Notice(notice)) => notice.at(&page),
            None => return Err(failure.into()),
        },
    };
    Ok(next.into_response())
}

/// Whether the form was submitted before, and the order that it placed then has been cancelled since. The response to a
/// repeated request shows the order as it was placed.
async fn has_ended(visitor: &Visitor, placed: &Order) -> bool {
    let is_repeated = placed.created_at < visitor.now;
    is_repeated
        && visitor.api.order(placed.id).await.is_ok_and(|now| now.status == OrderStatus::Cancelled)
}

/// Why a ticket could not be reserved.
enum PurchaseRefusal {
    /// The visitor has already reserved or bought it, with this order.
    AlreadyReserved(String),
    Notice(Notice),
}

impl PurchaseRefusal {
    fn of(failure: &Failure) -> Option<PurchaseRefusal> {
        const NOTICES: [(Problem, Notice); 5] = [
            (problem::TICKET_RESERVED, Notice::Reserved),
            (problem::TICKET_SOLD, Notice::Sold),
            (problem::TICKET_PAST, Notice::Past),
            (problem::PRICE_CHANGED, Notice::PriceChanged),
            (problem::OWN_TICKET, Notice::OwnTicket),
        ];
        match failure {
            Failure::Down(_) => Some(PurchaseRefusal::Notice(Notice::OrdersDown)),
            Failure::Refused(refusal) => match refusal.member("orderId") {
                Some(order) => Some(PurchaseRefusal::AlreadyReserved(order.to_owned())),
                None => {
                    let known = NOTICES.iter().find(|(problem, _)| refusal.is(problem));
                    let known = known.map(|(_, notice)| *notice);
                    let conflict = (refusal.status == 409).then_some(Notice::ListingChanged);
                    known.or(conflict).map(PurchaseRefusal::Notice)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(changes: serde_json::Value) -> Ticket {
        let mut ticket = json!({
            "id": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b", "title": "Tosca", "timeZone": "Europe/Berlin",
            "price": "20.50", "currency": "eur", "userId": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5c",
            "status": "available", "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        });
        ticket.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(ticket).unwrap()
    }

    fn structured_data(changes: serde_json::Value) -> serde_json::Value {
        let now = Time::parse("2026-06-01T00:00:00Z").unwrap();
        serde_json::from_str(&json_ld(&ticket(changes), "https://example.com/tickets/1", now))
            .unwrap()
    }

    #[test]
    fn an_event_has_a_location_and_a_past_one_is_not_in_stock() {
        let future = "2026-06-01T00:00:01Z";
        let event = structured_data(json!({ "date": future, "venue": "Oper" }));
        assert_eq!(event["location"]["name"], "Oper");
        assert_eq!(event["offers"]["availability"], "https://schema.org/InStock");
        let event = structured_data(json!({ "date": future }));
        assert_eq!(event["location"]["@type"], "Place");
        assert_eq!(event["location"]["name"], "See the description");
        for status in ["available", "reserved"] {
            let event =
                structured_data(json!({ "date": "2026-05-31T23:59:59Z", "status": status }));
            assert_eq!(
                event["offers"]["availability"], "https://schema.org/OutOfStock",
                "{status}"
            );
        }
        let sold = structured_data(json!({ "date": "2026-05-31T23:59:59Z", "status": "sold" }));
        assert_eq!(sold["offers"]["availability"], "https://schema.org/SoldOut");
        assert_eq!(
            structured_data(json!({}))["offers"]["availability"],
            "https://schema.org/InStock"
        );
    }

    #[test]
    fn a_title_can_t_close_the_script_element_of_the_structured_data() {
        let ticket: Ticket = serde_json::from_value(json!({
            "id": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b",
            "title": "</script><script>alert(1)</script><!--",
            "date": "2099-01-31T18:30:00Z", "timeZone": "Europe/Berlin", "venue": "Olympia",
            "price": "20.50", "currency": "eur", "userId": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5c",
            "status": "available", "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let now = Time::parse("2026-01-01T00:00:00Z").unwrap();
        let text = json_ld(&ticket, "https://example.com/tickets/1", now);
        assert!(!text.contains('<'), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"], ticket.title);
        assert_eq!(read["@type"], "Event");
        assert_eq!(read["startDate"], "2099-01-31T19:30:00+01:00");
        assert_eq!(read["offers"]["price"], "20.50");
        assert_eq!(read["offers"]["priceCurrency"], "EUR");
    }
}
