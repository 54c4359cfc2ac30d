//! What a seller writes about a ticket, and the rule of each field. Pure: the time is a parameter.
//!
//! A rule is refused with a text that continues the field's name: *title* — *must not be empty*.

use common::listing::Listing;
use common::settings::parse_time_zone;
use common::{Money, Time};

const MAX_TITLE_CHARS: usize = 200;
const MAX_DESCRIPTION_CHARS: usize = 5000;
const MAX_VENUE_CHARS: usize = 200;

/// What a seller writes about a ticket; every field satisfies its rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub listing: Listing,
    pub description: Option<String>,
}

pub fn title(text: Option<String>) -> Result<String, String> {
    let title = single_line(text.unwrap_or_default(), MAX_TITLE_CHARS)?;
    title.ok_or_else(|| "must not be empty".to_owned())
}

pub fn venue(text: Option<String>) -> Result<Option<String>, String> {
    single_line(text.unwrap_or_default(), MAX_VENUE_CHARS)
}

/// `amount` is none if it is missing or can't be parsed.
pub fn price(amount: Option<Money>, min_price: Money) -> Result<Money, String> {
    amount
        .filter(|price| (min_price..=Money::MAX).contains(price))
        .ok_or_else(|| format!("must be between {min_price} and {}, like 20 or 20.50", Money::MAX))
}

pub fn description(text: Option<String>) -> Result<Option<String>, String> {
    let text = text.unwrap_or_default().replace("\r\n", "\n");
    if text.chars().any(|char| char.is_control() && char != '\n' && char != '\t') {
        return Err("can't contain control characters".to_owned());
    }
    at_most(MAX_DESCRIPTION_CHARS, text)
}

pub fn date(text: Option<String>, now: Time) -> Result<Option<Time>, String> {
    let Some(text) = text else { return Ok(None) };
    // NEVER is how an undated ticket is stored for sorting; no date may equal it.
    let date = Time::parse(&text).filter(|date| *date < Time::NEVER);
    let date = date.ok_or("must be a date and time like 2026-01-31T19:30:00+01:00")?;
    if date < now { Err("must be in the future".to_owned()) } else { Ok(Some(date)) }
}

pub fn time_zone(name: Option<String>, default: &str) -> Result<String, String> {
    match name {
        Some(name) => parse_time_zone(&name)
            .map_err(|_| "must be an IANA time zone like Europe/Berlin".to_owned()),
        None => Ok(default.to_owned()),
    }
}

/// Text without line breaks; none if nothing in it is visible.
fn single_line(text: String, max_chars: usize) -> Result<Option<String>, String> {
    if text.trim().chars().any(breaks_a_line) {
        return Err("can't contain line breaks or control characters".to_owned());
    }
    at_most(max_chars, text)
}

fn at_most(max_chars: usize, text: String) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.chars().all(|char| char.is_whitespace() || is_invisible(char)) {
        return Ok(None);
    }
    if text.chars().count() > max_chars {
        return Err(format!("must be at most {max_chars} characters"));
    }
    Ok(Some(text.to_owned()))
}

/// Control characters, Unicode's own line breaks, and the marks that change the direction of all text that follows, with
/// which a title could rewrite the page around it.
fn breaks_a_line(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Characters without width: a title that consists of them looks empty.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}
