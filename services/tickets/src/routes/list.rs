//! `GET /api/tickets`: what is on sale, or what one sells oneself, narrowed, sorted and in pages.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use common::problem::Violation;
use common::{Money, Time};
use httpkit::extract::Query;
use httpkit::paging::{self, Cursor};
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};

use crate::search::{Search, Sort, Whose, words};
use crate::state::App;
use crate::view::{self, TicketView};

/// The longest search, in characters: as long as a title.
const LONGEST_QUERY: usize = 200;

/// The query string as it was sent. An empty parameter, as a form sends it, is one that is left out.
#[derive(Debug, Deserialize)]
pub struct Parameters {
    q: Option<String>,
    min_price: Option<String>,
    max_price: Option<String>,
    from: Option<String>,
    to: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    mine: Option<String>,
}

#[derive(Serialize)]
struct Page {
    tickets: Vec<TicketView>,
    next: Option<String>,
}

pub async fn list(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    Query(parameters): Query<Parameters>,
) -> Result<Response> {
    let Asked { search, limit, cursor } = read(parameters, viewer.as_ref())?;
    let limit = paging::limit(limit)?;
    let after = cursor.map(|text| Cursor::decode(&text, &search)).transpose()?;
    let now = app.clock.now();
    let (tickets, more) = app.store.page(&search, now, after.as_ref(), limit).await?;
    let last = tickets.last().filter(|_| more);
    let next = last.map(|last| Cursor::after(search.sort.key(last), last.id, &search).encode());
    let view = |ticket| TicketView::of(ticket, viewer.as_ref(), now);
    let page = Page { tickets: tickets.into_iter().map(view).collect(), next };
    Ok(view::answer(None, viewer.as_ref(), Json(page)))
}

/// The parameters, parsed.
struct Asked {
    search: Search,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Refuses with one entry for every parameter that can't be read.
fn read(sent: Parameters, viewer: Option<&CurrentUser>) -> Result<Asked> {
    const TIME: &str = "must be a time such as 2026-01-31T19:30:00Z";
    const AMOUNT: &str = "must be an amount such as 20.50";
    let mut broken = Broken(Vec::new());
    let fits = |text: &str| text.chars().count() <= LONGEST_QUERY;
    let query = broken.read("q", sent.q, "must have at most 200 characters", |text| {
        fits(text).then(|| words(text))
    });
    let amount = |text: &str| text.parse::<Money>().ok().map(Money::minor);
    let asked = Asked {
        search: Search {
            whose: Whose::OnSale,
            terms: query,
            min_price: broken.read("min_price", sent.min_price, AMOUNT, amount),
            max_price: broken.read("max_price", sent.max_price, AMOUNT, amount),
            from: broken.read("from", sent.from, TIME, Time::parse),
            to: broken.read("to", sent.to, TIME, Time::parse),
            sort: broken
                .read("sort", sent.sort, "must be -createdAt, price, -price or date", Sort::parse)
                .unwrap_or_default(),
        },
        limit: broken.read("limit", sent.limit, "must be a number", |text| text.parse().ok()),
        cursor: sent.cursor.filter(|text| !text.is_empty()),
    };
    let mine = broken.read("mine", sent.mine, "must be true or false", |text| text.parse().ok());
    if !broken.0.is_empty() {
        return Err(Error::Invalid(broken.0));
    }
    let whose = match mine {
        Some(true) => Whose::Of(viewer.ok_or_else(Error::not_signed_in)?.id),
        Some(false) | None => Whose::OnSale,
    };
    Ok(Asked { search: Search { whose, ..asked.search }, ..asked })
}

/// The parameters that could not be read so far.
struct Broken(Vec<Violation>);

impl Broken {
    fn read<T>(
        &mut self,
        name: &str,
        sent: Option<String>,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let sent = sent.filter(|text| !text.trim().is_empty())?;
        let parsed = parse(sent.trim());
        if parsed.is_none() {
            self.0.push(Violation::of(name, rule));
        }
        parsed
    }
}
