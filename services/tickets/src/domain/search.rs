//! The parameters of a ticket search.

use std::time::Duration;

use common::ids::UserId;
use common::{Money, Time};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Ticket;
use super::words::Term;

/// The filters and the order of a list. A cursor is bound to all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Search {
    #[serde(rename = "whose")]
    pub scope: SearchScope,
    /// The ticket must have each term. None: no text filter; empty: nothing has what was asked for.
    pub terms: Option<Vec<Term>>,
    pub min_price: Option<Money>,
    pub max_price: Option<Money>,
    pub from: Option<DateBound>,
    pub to: Option<DateBound>,
    pub sort: Sort,
}

impl Search {
    /// Whether a filter names calendar days: the database then finds a little too much, and [`Search::includes`]
    /// decides.
    pub fn names_days(&self) -> bool {
        let is_day = |bound: &Option<DateBound>| matches!(bound, Some(DateBound::Day(_)));
        is_day(&self.from) || is_day(&self.to)
    }

    /// Whether the list contains the ticket, by what was read of it.
    pub fn includes(&self, ticket: &Ticket, now: Time) -> bool {
        let until = ticket.on_sale_until();
        let is_in_scope = match self.scope {
            SearchScope::OnSale => ticket.is_listed() && until >= now,
            SearchScope::Seller(seller) => ticket.user_id == seller && !ticket.deleted,
        };
        let price = ticket.listing.price;
        let has_price = self.min_price.is_none_or(|min| min <= price)
            && self.max_price.is_none_or(|max| price <= max);
        is_in_scope && has_price && self.includes_date_of(ticket) && self.has_terms_of(ticket)
    }

    fn has_terms_of(&self, ticket: &Ticket) -> bool {
        self.terms.as_ref().is_none_or(|terms| {
            let text = ticket.searched_text();
            !terms.is_empty() && terms.iter().all(|term| text.has(term))
        })
    }

    fn includes_date_of(&self, ticket: &Ticket) -> bool {
        let Some(date) = ticket.listing.date else {
            return self.from.is_none() && self.to.is_none();
        };
        self.from.is_none_or(|from| from.earliest() <= date)
            && self.to.is_none_or(|to| date <= to.latest())
            && self.includes_day_of(ticket)
    }

    /// Whether the ticket's own local day is within the days that the filters name.
    fn includes_day_of(&self, ticket: &Ticket) -> bool {
        let Some(date) = ticket.listing.date else { return !self.names_days() };
        let day = local_day(date, &ticket.listing.time_zone);
        let is_from = |bound| matches!(bound, DateBound::Day(first) if day < first);
        let is_to = |bound| matches!(bound, DateBound::Day(last) if last < day);
        !self.from.is_some_and(is_from) && !self.to.is_some_and(is_to)
    }
}

/// One end of a filter by date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DateBound {
    Instant(Time),
    /// A calendar day, in each ticket's own time zone: as its date is shown.
    Day(Date),
}

/// The offsets of all time zones are smaller.
const LARGEST_OFFSET: Duration = Duration::from_secs(16 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl DateBound {
    /// Reads `2026-01-31` or RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(time) = Time::parse(text) {
            return Some(DateBound::Instant(time));
        }
        let day: Date = text.parse().ok().filter(|_| text.len() == "2026-01-31".len())?;
        start_in_utc(day).map(|_| DateBound::Day(day))
    }

    /// No ticket that satisfies this lower bound is earlier.
    pub fn earliest(self) -> Time {
        match self {
            DateBound::Instant(time) => time,
            DateBound::Day(day) => start_in_utc(day).unwrap_or(Time::NEVER) - LARGEST_OFFSET,
        }
    }

    /// No ticket that satisfies this upper bound is later.
    pub fn latest(self) -> Time {
        match self {
            DateBound::Instant(time) => time,
            DateBound::Day(day) => start_in_utc(day).unwrap_or(Time::NEVER) + DAY + LARGEST_OFFSET,
        }
    }
}

fn start_in_utc(day: Date) -> Option<Time> {
    let start = day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    (start >= 0).then(|| Time::from_millis(start))
}

fn local_day(time: Time, zone: &str) -> Date {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let timestamp = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    timestamp.to_zoned(zone).date()
}

/// Which tickets a list contains, before filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SearchScope {
    /// All that are on sale, of any seller.
    OnSale,
    /// All that one seller has listed or sold.
    #[serde(rename = "Of")]
    Seller(UserId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Sort {
    #[default]
    Newest,
    Cheapest,
    #[serde(rename = "Dearest")]
    MostExpensive,
    /// By date; undated tickets come last.
    Soonest,
}

impl Sort {
    pub const ALL: [Sort; 4] = [Sort::Newest, Sort::Cheapest, Sort::MostExpensive, Sort::Soonest];

    /// The value of the query parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Sort::Newest => "-createdAt",
            Sort::Cheapest => "price",
            Sort::MostExpensive => "-price",
            Sort::Soonest => "date",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Sort::ALL.into_iter().find(|sort| sort.as_str() == text)
    }

    /// The ticket's sort key, in its own unit: cents, or milliseconds.
    pub fn key(self, ticket: &Ticket) -> i64 {
        match self {
            Sort::Newest => ticket.created_at.millis(),
            Sort::Cheapest | Sort::MostExpensive => ticket.listing.price.minor(),
            Sort::Soonest => ticket.on_sale_until().millis(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_day_or_an_instant() {
        for day in ["2027-01-30", "1970-01-01"] {
            assert_eq!(DateBound::parse(day), Some(DateBound::Day(day.parse().unwrap())));
        }
        let time = Time::parse("2027-01-30T20:00:00-05:00").unwrap();
        let parsed = DateBound::parse("2027-01-30T20:00:00-05:00");
        assert_eq!(parsed, Some(DateBound::Instant(time)));
        for text in
            ["20270130", "2027-1-30", "2027-02-30", "1969-12-31", "2027-01-30T20:00", "soon"]
        {
            assert_eq!(DateBound::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_sort_is_parsed_from_its_own_text() {
        for sort in Sort::ALL {
            assert_eq!(Sort::parse(sort.as_str()), Some(sort));
        }
        assert_eq!(Sort::parse("createdAt"), None);
    }
}
