//! The parameters of a ticket search, and how text is split into the words that a search matches.

use std::time::Duration;

use common::ids::UserId;
use common::{Money, Time};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Ticket;

/// The filters and the order of a list. A cursor is bound to all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Search {
    #[serde(rename = "whose")]
    pub scope: SearchScope,
    /// Each term must be a prefix of one of the ticket's words. None: no text filter.
    pub terms: Option<Vec<String>>,
    pub min_price: Option<Money>,
    pub max_price: Option<Money>,
    pub from: Option<DateBound>,
    pub to: Option<DateBound>,
    pub sort: Sort,
}

impl Search {
    /// Whether a filter names calendar days: the database then finds a little too much, and [`Search::includes_day_of`]
    /// decides.
    pub fn names_days(&self) -> bool {
        let is_day = |bound: &Option<DateBound>| matches!(bound, Some(DateBound::Day(_)));
        is_day(&self.from) || is_day(&self.to)
    }

    /// Whether the ticket's own local day is within the days that the filters name.
    pub fn includes_day_of(&self, ticket: &Ticket) -> bool {
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

/// The distinct words of a text, without case and accents. They consist of letters and digits alone, so none contains a
/// character that has a meaning in a regular expression.
pub fn words(text: &str) -> Vec<String> {
    let plain: String =
        text.nfkd().filter(|&char| !is_combining_mark(char)).flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(plain.len());
    for char in plain.chars().filter(|&char| !is_combining_mark(char)) {
        match undecomposed(char) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(char),
        }
    }
    let mut words: Vec<String> = folded
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The words of a query that are searched for. One letter of an alphabet begins a large part of all words, so it is
/// ignored; one ideograph is a word of its own.
pub fn terms(query: &str) -> Vec<String> {
    let mut terms = words(query);
    terms.retain(|term| term.chars().nth(1).is_some() || term.as_str() >= FIRST_IDEOGRAPH);
    terms
}

/// Where the scripts of East Asia begin in Unicode.
const FIRST_IDEOGRAPH: &str = "\u{2e80}";

/// Letters that people type without their strokes, and that Unicode doesn't decompose.
fn undecomposed(char: char) -> Option<&'static str> {
    Some(match char {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' => "d",
        'ı' => "i",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_neither_case_nor_accents_nor_punctuation() {
        for (text, expected) in [
            ("Motörhead, live!", vec!["live", "motorhead"]),
            ("ÉDITH Piaf — Olympia", vec!["edith", "olympia", "piaf"]),
            ("Große Łódź Øresund", vec!["grosse", "lodz", "oresund"]),
            ("rock ROCK Rock", vec!["rock"]),
            ("İstanbul ﬁn ①", vec!["1", "fin", "istanbul"]),
            ("AC/DC: 40 años", vec!["40", "ac", "anos", "dc"]),
            ("東京 コンサート", vec!["コンサート", "東京"]),
            ("  \u{0} !!! ", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_safe_in_a_regular_expression() {
        let all: String = (0..=0x2FFF_u32).filter_map(char::from_u32).collect();
        for word in words(&all) {
            assert!(word.chars().all(char::is_alphanumeric), "{word}");
        }
        assert_eq!(words(r"a.*b$ ^c (d|e) [f] \g {2}"), ["2", "a", "b", "c", "d", "e", "f", "g"]);
    }

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
    fn a_term_has_two_letters_or_is_an_ideograph() {
        for (query, expected) in [
            ("a rock b", vec!["rock"]),
            ("é ï 7", vec![]),
            ("и", vec![]),
            ("u2 x", vec!["u2"]),
            ("東", vec!["東"]),
        ] {
            assert_eq!(terms(query), expected, "{query}");
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
