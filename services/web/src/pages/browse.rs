//! `/`: what is on sale, searched and sorted. Whoever is sent the address sees the same.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::{Time, problem};
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::Query;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::api::{Ticket, TicketStatus};
use crate::app::App;
use crate::format::{Countdown, When, price, stock};
use crate::forms::{Complaints, Named, typed_amount, with_query};
use crate::page::{Cache, Frame, Page};
use crate::session::Visitor;

/// How many tickets a page shows: a multiple of both the columns that there may be.
const ON_A_PAGE: &str = "24";

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage {
    frame: Frame,
    asked: Asked,
    complaints: Complaints,
    cards: Vec<Card>,
    next: Option<String>,
    first: String,
    canonical: String,
}

/// The query string, as it was typed into the form.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    min_price: String,
    #[serde(default)]
    max_price: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    cursor: String,
}

const FIELDS: &[Named] = &[
    ("q", "q", "The search"),
    ("min_price", "min_price", "Price from"),
    ("max_price", "max_price", "Price up to"),
    ("from", "from", "Date from"),
    ("to", "to", "Date up to"),
    ("sort", "sort", "The order"),
];

/// How a list can be sorted: as the API calls it, and as people do.
const SORTS: [(&str, &str); 4] = [
    ("-createdAt", "Newest first"),
    ("date", "Soonest first"),
    ("price", "Cheapest first"),
    ("-price", "Dearest first"),
];

/// A ticket in a list.
struct Card {
    ticket: Ticket,
    price: String,
    date: Option<When>,
    held: Option<Countdown>,
    /// Whether the year has to be said.
    is_next_year: bool,
    stock: usize,
}

impl Card {
    fn of(app: &App, visitor: &Visitor, ticket: Ticket) -> Card {
        let zone = &app.settings.market.time_zone;
        let held = match ticket.status {
            TicketStatus::Reserved => ticket.reserved_until,
            TicketStatus::Available | TicketStatus::Sold => None,
        };
        let date = ticket.date.map(|date| When::of(date, &ticket.time_zone));
        let this_year = When::of(visitor.now, &ticket.time_zone).year;
        Card {
            price: price(ticket.price, &ticket.currency),
            is_next_year: date.as_ref().is_some_and(|date| date.year != this_year),
            date,
            held: held.map(|end| Countdown::to(end, visitor.now, zone)),
            stock: stock(ticket.id),
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
}

impl Asked {
    /// Whether any of what is folded away says something.
    fn is_filtered(&self) -> bool {
        let fields = [&self.min_price, &self.max_price, &self.from, &self.to];
        fields.iter().any(|field| !field.is_empty()) || !matches!(&*self.sort, "" | "-createdAt")
    }

    fn is_narrowed(&self) -> bool {
        self.is_filtered() || !self.q.is_empty()
    }

    /// As the form can show it: a date field takes nothing but dates.
    fn showable(mut self) -> Asked {
        for date in [&mut self.from, &mut self.to] {
            let read = date.trim().parse::<Date>();
            *date = read.map(|read| read.to_string()).unwrap_or_default();
        }
        self
    }

    /// The address of the same search, from this cursor on.
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

    /// What tickets is asked for. Dates are whole days, in the deployment's zone.
    fn query(&self, zone: &str) -> Result<Vec<(&'static str, String)>, Complaints> {
        const DATE: &str = "A date is written as 2026-01-31.";
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let mut complaints = Complaints::none();
        let mut day = |name: &'static str, text: &str, is_end: bool| {
            let text = text.trim();
            if text.is_empty() {
                return String::new();
            }
            let time = midnight(text, is_end, &zone);
            if time.is_none() {
                complaints.add(Complaints::about(name, DATE));
            }
            time.map(|time| time.to_string()).unwrap_or_default()
        };
        let (from, to) = (day("from", &self.from, false), day("to", &self.to, true));
        if !complaints.is_empty() {
            return Err(complaints);
        }
        let all = [
            ("q", self.q.trim().to_owned()),
            ("min_price", typed_amount(&self.min_price)),
            ("max_price", typed_amount(&self.max_price)),
            ("from", from),
            ("to", to),
            ("sort", self.sort.clone()),
            ("cursor", self.cursor.clone()),
            ("limit", ON_A_PAGE.to_owned()),
        ];
        Ok(all.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}

/// The beginning of a day, or its last millisecond.
fn midnight(text: &str, is_end: bool, zone: &TimeZone) -> Option<Time> {
    let date: Date = text.parse().ok()?;
    let date = if is_end { date.checked_add(1.day()).ok()? } else { date };
    let start = date.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
    let millis = if is_end { start - 1 } else { start };
    (millis >= 0).then(|| Time::from_millis(millis))
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let search = async {
        let query = asked.query(&app.settings.market.time_zone)?;
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, &**value)).collect();
        Ok(visitor.api.tickets(&query).await)
    };
    let (found, frame) = tokio::join!(search, Frame::of(&app, &visitor));
    let (list, complaints) = match found {
        Ok(Ok(list)) => (Some(list), Complaints::none()),
        Ok(Err(failure)) => match failure.refusal(&problem::INVALID) {
            // The list has moved on under this place in it.
            Some(refusal) if refusal.is_about("cursor") => {
                return Ok(Redirect::to(&asked.address("")).into_response());
            }
            Some(refusal) => (None, Complaints::from_refusal(refusal, FIELDS)),
            None => return Err(failure.into()),
        },
        Err(complaints) => (None, complaints),
    };
    let status = if list.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let (items, next) = list.map(|list| (list.items, list.next)).unwrap_or_default();
    let page = BrowsePage {
        frame,
        complaints,
        cards: items.into_iter().map(|ticket| Card::of(&app, &visitor, ticket)).collect(),
        next: next.map(|cursor| asked.address(&cursor)),
        first: asked.address(""),
        canonical: app.absolute("/"),
        asked: asked.showable(),
    };
    page.show_as(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked { q: "aïda & co".to_owned(), to: "2026-03-29".to_owned(), ..Asked::default() }
    }

    #[test]
    fn an_address_holds_the_whole_search_and_nothing_else() {
        assert_eq!(asked().address("abc"), "/?q=a%C3%AFda+%26+co&to=2026-03-29&cursor=abc");
        assert_eq!(Asked::default().address(""), "/");
    }

    #[test]
    fn days_are_whole_ones_in_the_deployment_s_zone_also_when_the_clocks_change() {
        let query = Asked { from: "2026-03-29".to_owned(), ..asked() }.query("Europe/Berlin");
        let query = query.unwrap();
        assert!(query.contains(&("from", "2026-03-28T23:00:00.000Z".to_owned())), "{query:?}");
        assert!(query.contains(&("to", "2026-03-29T21:59:59.999Z".to_owned())), "{query:?}");
    }

    #[test]
    fn what_is_no_date_is_told_beside_its_field() {
        let asked = Asked { from: "tomorrow".to_owned(), to: "2026-02-30".to_owned(), ..asked() };
        let complaints = asked.query("UTC").unwrap_err();
        assert!(complaints.on("from").is_some() && complaints.on("to").is_some());
    }
}
