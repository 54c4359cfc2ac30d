//! `/`: the tickets on sale, searched and sorted. The address holds the whole search, and can be shared.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::money::Currency;
use common::{Time, problem};
use http::StatusCode;
use httpkit::Result;
use httpkit::shared_reads::digest;
use jiff::civil::Date;
use serde::Deserialize;

use crate::api::{Failure, List, Ticket, TicketStatus};
use crate::format::{Countdown, When, price, ticket_colour};
use crate::forms::{FieldError, FormErrors, PageQuery, typed_amount, with_query};
use crate::page::{Cache, Frame, Page};
use crate::parts::{Found, Part};
use crate::state::App;
use crate::visitor::Visitor;

/// Tickets per page: a multiple of the number of columns.
const PAGE_SIZE: &str = "24";

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage {
    frame: Frame,
    params: Params,
    errors: FormErrors,
    found: Option<Arc<Part<Found>>>,
    next: Option<String>,
    first: String,
    canonical: String,
}

/// The cards of what was found.
#[derive(Template)]
#[template(path = "cards.html")]
struct Cards {
    cards: Vec<Card>,
}

/// The query string, as typed into the form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    q: String,
    min_price: String,
    max_price: String,
    from: String,
    to: String,
    sort: String,
    cursor: String,
}

/// The message for a rule of tickets that this field breaks.
fn field_error(field: &str) -> Option<FieldError> {
    Some(match field {
        "q" => FieldError::on("q", "Search must be at most 200 characters"),
        "min_price" => {
            FieldError::on("min_price", "Minimum price must be a number, like 20 or 20.50")
        }
        "max_price" => {
            FieldError::on("max_price", "Maximum price must be a number, like 20 or 20.50")
        }
        "from" => FieldError::on("from", DATE_FORMAT),
        "to" => FieldError::on("to", DATE_FORMAT),
        "sort" => FieldError::on("sort", "Choose a sort order from the list"),
        _ => return None,
    })
}

const DATE_FORMAT: &str = "Enter a date in the format 2026-01-31";

/// The sort orders: the API's name and the label.
const SORTS: [(&str, &str); 4] = [
    ("-createdAt", "Newest first"),
    ("date", "Date: soonest first"),
    ("price", "Price: low to high"),
    ("-price", "Price: high to low"),
];

/// A ticket in a list.
struct Card {
    ticket: Ticket,
    price: String,
    date: Option<When>,
    reservation: Option<Countdown>,
    /// Whether to show the year.
    is_next_year: bool,
    colour: usize,
}

impl Card {
    fn of(app: &App, now: Time, ticket: Ticket) -> Card {
        let zone = &app.settings.market.time_zone;
        let reserved_until = match ticket.status {
            // The places of a listing of many are released at different times.
            TicketStatus::Reserved => ticket.reserved_until.filter(|_| !ticket.is_many()),
            TicketStatus::Available
            | TicketStatus::Sold
            | TicketStatus::Closed
            | TicketStatus::Unknown => None,
        };
        let date = ticket.date.map(|date| When::of(date, &ticket.time_zone));
        let this_year = When::of(now, &ticket.time_zone).year;
        Card {
            price: price(ticket.price, &ticket.currency),
            is_next_year: date.as_ref().is_some_and(|date| date.year != this_year),
            date,
            reservation: reserved_until.map(|end| Countdown::to(end, now, zone)),
            colour: ticket_colour(ticket.id),
            ticket,
        }
    }
}

impl Page for BrowsePage {
    const CACHE: Cache = Cache::Anyone;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl BrowsePage {
    fn sorts(&self) -> [(&'static str, &'static str); 4] {
        SORTS
    }

    fn cards(&self) -> Option<&str> {
        self.found.as_ref()?.content.cards.as_deref()
    }
}

impl Params {
    /// Whether any of the collapsed filters is set.
    fn is_filtered(&self) -> bool {
        let fields = [&self.min_price, &self.max_price, &self.from, &self.to];
        fields.iter().any(|field| !field.is_empty()) || !matches!(&*self.sort, "" | "-createdAt")
    }

    fn is_narrowed(&self) -> bool {
        self.is_filtered() || !self.q.is_empty()
    }

    /// As the form can show it: a date field accepts only dates.
    fn displayable(mut self) -> Params {
        for date in [&mut self.from, &mut self.to] {
            let read = date.trim().parse::<Date>();
            *date = read.map(|read| read.to_string()).unwrap_or_default();
        }
        self
    }

    /// The address of the same search, starting at this cursor.
    fn address(&self, cursor: &str) -> String {
        let all = [
            ("q", &*self.q),
            ("min_price", &self.min_price),
            ("max_price", &self.max_price),
            ("from", &self.from),
            ("to", &self.to),
            ("sort", &self.sort),
            ("cursor", cursor),
        ];
        let pairs: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        if pairs.is_empty() { "/".to_owned() } else { with_query("/", &pairs) }
    }

    /// The query to tickets, which validates every field. Dates are days at each ticket's own place, as the cards show
    /// them; one that can't be read is sent as typed, so that tickets rejects it along with all other errors.
    fn query(&self, currency: &Currency) -> Vec<(&'static str, String)> {
        let day = |text: &str| {
            let text = text.trim();
            text.parse().map_or_else(|_| text.to_owned(), |day: Date| day.to_string())
        };
        let all = [
            ("q", self.q.trim().to_owned()),
            ("min_price", typed_amount(&self.min_price, currency)),
            ("max_price", typed_amount(&self.max_price, currency)),
            ("from", day(&self.from)),
            ("to", day(&self.to)),
            ("sort", self.sort.clone()),
            ("cursor", self.cursor.clone()),
            ("limit", PAGE_SIZE.to_owned()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let query = params.query(&app.settings.market.currency);
    let (key, found) = (digest(&query), find(&app, &visitor, &query));
    let found = app.parts.found.get(&key, visitor.max_age, &visitor.request, found);
    let (found, frame) = tokio::join!(found, Frame::of(&app, &visitor));
    let (found, errors) = match found {
        Ok(found) => (Some(found), FormErrors::none()),
        Err(failure) => match failure.refusal(&problem::INVALID) {
            // The cursor is no longer valid.
            Some(refusal) if refusal.is_about("cursor") => {
                return Ok(Redirect::to(&params.address("")).into_response());
            }
            Some(refusal) => (None, FormErrors::from_refusal(refusal, field_error)),
            None => return Err(failure.into()),
        },
    };
    let (status, frame) = match &found {
        Some(found) => (StatusCode::OK, frame.with_part_of(&app, &found.resume_token)),
        None => (StatusCode::BAD_REQUEST, frame),
    };
    let next = found.as_ref().and_then(|found| found.content.next.as_deref());
    let page = BrowsePage {
        frame,
        errors,
        next: next.map(|cursor| params.address(cursor)),
        found,
        first: params.address(""),
        canonical: app.absolute("/"),
        params: params.displayable(),
    };
    page.show_as(status)
}

/// What anyone finds.
async fn find(
    app: &App,
    visitor: &Visitor,
    query: &[(&str, String)],
) -> Result<Part<Found>, Failure> {
    let resume_token = app.live.hub.resume_token();
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, &**value)).collect();
    let List { items, next } = visitor.api.anonymous().tickets(&query).await?;
    let ends = items.iter().flat_map(|ticket| [ticket.reserved_until, ticket.date]).flatten();
    let valid_until = ends.min().unwrap_or(Time::NEVER);
    let now = app.clock.now();
    let cards: Vec<_> = items.into_iter().map(|ticket| Card::of(app, now, ticket)).collect();
    let cards = if cards.is_empty() { None } else { Some(Cards { cards }.render()) };
    let cards = cards.transpose().map_err(|error| Failure::Down(error.into()))?;
    let size = cards.as_ref().map_or(0, String::len);
    Ok(Part { content: Found { cards, next }, resume_token, size, valid_until })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        "usd".parse().expect("a currency")
    }

    fn params() -> Params {
        Params { q: "aïda & co".to_owned(), to: "2026-03-29".to_owned(), ..Params::default() }
    }

    #[test]
    fn the_address_holds_the_whole_search_and_nothing_else() {
        assert_eq!(params().address("abc"), "/?q=a%C3%AFda+%26+co&to=2026-03-29&cursor=abc");
        assert_eq!(Params::default().address(""), "/");
    }

    #[test]
    fn days_are_sent_as_days() {
        let query = Params { from: " 2026-03-28 ".to_owned(), ..params() }.query(&usd());
        assert!(query.contains(&("from", "2026-03-28".to_owned())), "{query:?}");
        assert!(query.contains(&("to", "2026-03-29".to_owned())), "{query:?}");
    }

    #[test]
    fn an_invalid_date_is_sent_as_typed_and_tickets_rejects_it() {
        let params =
            Params { from: "tomorrow".to_owned(), to: "2026-02-30".to_owned(), ..params() };
        let query = params.query(&usd());
        for (name, text) in [("from", "tomorrow"), ("to", "2026-02-30")] {
            assert!(query.contains(&(name, text.to_owned())), "{query:?}");
        }
    }
}
