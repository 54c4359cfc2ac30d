//! `GET /api/tickets`: the tickets on sale, or the user's own; filtered, sorted and paged.

use axum::extract::State;
use axum::response::Response;
use common::Money;
use httpkit::conditional::IfNoneMatch;
use httpkit::extract::Query;
use httpkit::openapi::Call;
use httpkit::paging::{self, Cursor};
use httpkit::shared_reads::digest;
use httpkit::validation::Rules;
use httpkit::{Caller, CurrentUser, Error, MaxAge, Result};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::{DateBound, Search, SearchScope, Sort, Term};
use crate::state::App;
use crate::store::Position;
use crate::view::{Page, Shown};

/// As long as a title.
const MAX_QUERY_CHARS: usize = 200;

/// The query string as it was sent. An empty parameter, as a form sends it, counts as omitted.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Parameters {
    /// Beginnings of words, each of a word of the title or the venue. Case, accents and punctuation make no difference.
    #[param(max_length = 200, example = "tosca")]
    q: Option<String>,
    /// Inclusive.
    #[param(pattern = r"^\d{1,12}(\.\d{1,2})?$", example = "10")]
    min_price: Option<String>,
    /// Inclusive.
    #[param(pattern = r"^\d{1,12}(\.\d{1,2})?$", example = "100.00")]
    max_price: Option<String>,
    /// A day, compared with each ticket's own local day, or a time; inclusive. Excludes tickets without a date.
    #[param(example = "2030-01-30")]
    from: Option<String>,
    /// A day or a time, inclusive. Excludes tickets without a date.
    #[param(example = "2030-12-31")]
    to: Option<String>,
    /// `-createdAt` (the newest first; if it is omitted), `price`, `-price`, or `date` (undated ones last).
    #[param(pattern = "^(-createdAt|price|-price|date)$", example = "price")]
    sort: Option<String>,
    #[param(ignore)]
    limit: Option<String>,
    #[param(ignore)]
    cursor: Option<String>,
    /// `true`: all of the user's own, including sold and past ones.
    #[param(value_type = Option<bool>, example = false)]
    mine: Option<String>,
}

pub async fn handle(
    State(app): State<App>,
    viewer: Option<CurrentUser>,
    if_none_match: IfNoneMatch,
    max_age: MaxAge,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Response> {
    let viewer = viewer.as_ref();
    let ListRequest { search, limit, cursor } = parameters.parse(viewer)?;
    let limit = paging::limit(limit)?;
    let after = cursor.map(|text| Cursor::decode(&text, &search)).transpose()?;
    let query = (search, limit, after);
    if query.0.scope == SearchScope::OnSale {
        let read = read(&app, &caller, &query, None);
        let shown = app.shared.lists.get(&digest(&query), max_age, &caller, read).await?;
        if !shown.is_personal_for(viewer) {
            return Ok(shown.respond(viewer, &if_none_match));
        }
    }
    Ok(read(&app, &caller, &query, viewer).await?.respond(viewer, &if_none_match))
}

async fn read(
    app: &App,
    caller: &Caller,
    (search, limit, after): &(Search, i64, Option<Cursor>),
    viewer: Option<&CurrentUser>,
) -> Result<Shown> {
    let _turn = app.lists.take(caller).await?;
    let now = app.clock.now();
    let after = after.as_ref().map(|cursor| Position { key: cursor.key, id: cursor.id.clone() });
    let page = app.store.page(search, now, after, *limit).await?;
    let next = page.next.map(|last| Cursor::after(last.key, last.id, search).encode());
    let tickets = app.store.recount(page.tickets, now).await?;
    Shown::page(tickets, next, viewer, now)
}

pub fn call() -> Call {
    Call::get("list", "/api/tickets", "List the tickets on sale")
        .text(
            "Neither sold, nor closed, nor deleted, nor past their date. A page reads a bounded part of the catalogue: it may have fewer \
             tickets than `limit`, or none, and yet a `next`.",
        )
        .for_viewers()
        .query::<Parameters>()
        .paged()
        .shared()
        .if_none_match()
        .ok_versioned::<Page>("A page.")
}

/// The parameters, parsed.
struct ListRequest {
    search: Search,
    limit: Option<i64>,
    cursor: Option<String>,
}

impl Parameters {
    /// Refuses with one violation for every parameter that can't be parsed.
    fn parse(self, viewer: Option<&CurrentUser>) -> Result<ListRequest> {
        const AMOUNT: &str = "must be a number, like 20 or 20.50";
        const SORT: &str = "must be -createdAt, price, -price or date";
        let terms =
            |text: &str| (text.chars().count() <= MAX_QUERY_CHARS).then(|| Term::all_of(text));
        let too_long = format!("must be at most {MAX_QUERY_CHARS} characters");
        let amount = |text: &str| text.parse::<Money>().ok();

        let mut rules = Rules::default();
        let terms = rules.check("q", optional(self.q, terms, &too_long));
        let min_price = rules.check("min_price", optional(self.min_price, amount, AMOUNT));
        let max_price = rules.check("max_price", optional(self.max_price, amount, AMOUNT));
        let from = rules.check("from", date_bound(self.from));
        let to = rules.check("to", date_bound(self.to));
        let sort = rules.check("sort", optional(self.sort, Sort::parse, SORT));
        let limit = |text: &str| text.parse().ok();
        let limit = rules.check("limit", optional(self.limit, limit, "must be a number"));
        let mine = |text: &str| text.parse().ok();
        let mine = rules.check("mine", optional(self.mine, mine, "must be true or false"));
        let (
            Some(terms),
            Some(min_price),
            Some(max_price),
            Some(from),
            Some(to),
            Some(sort),
            Some(limit),
            Some(mine),
        ) = (terms, min_price, max_price, from, to, sort, limit, mine)
        else {
            return Err(rules.into_error());
        };

        let scope = match mine {
            Some(true) => SearchScope::Seller(viewer.ok_or_else(Error::not_signed_in)?.id),
            Some(false) | None => SearchScope::OnSale,
        };
        let sort = sort.unwrap_or_default();
        let search = Search { scope, terms, min_price, max_price, from, to, sort };
        let cursor = self.cursor.filter(|text| !text.is_empty());
        Ok(ListRequest { search, limit, cursor })
    }
}

/// A parameter that may be omitted; refuses one that can't be parsed with the text of its rule.
fn optional<T>(
    sent: Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    rule: &str,
) -> Result<Option<T>, &str> {
    match sent.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => parse(text).map(Some).ok_or(rule),
        None => Ok(None),
    }
}

/// One end of the filter by date. In a query, an unencoded `+` is a blank: the offset was lost.
fn date_bound(sent: Option<String>) -> Result<Option<DateBound>, &'static str> {
    let has_lost_plus = sent.as_deref().is_some_and(|text| {
        text.contains(' ') && DateBound::parse(&text.replace(' ', "+")).is_some()
    });
    optional(sent, DateBound::parse, "").map_err(|_| {
        if has_lost_plus {
            "must have the + of its offset encoded as %2B, like 2026-01-31T19:30:00%2B01:00"
        } else {
            "must be a date like 2026-01-31, or a date and time like 2026-01-31T19:30:00Z"
        }
    })
}
