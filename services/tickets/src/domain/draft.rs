//! What a seller writes about a ticket, and the rule of each field. Pure: the time is a parameter.
//!
//! A rule is refused with a text that continues the field's name: *title* — *must not be empty*.

use common::listing::{Delivery, Listing};
use common::{Money, Quantity, Time, text, time_zone};

pub const MAX_TITLE_CHARS: usize = 200;
pub const MAX_DESCRIPTION_CHARS: usize = 5000;
pub const MAX_VENUE_CHARS: usize = 200;

/// What a seller writes about a ticket; every field satisfies its rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub listing: Listing,
    pub description: Option<String>,
}

pub fn title(text: Option<String>) -> Result<String, String> {
    one_line(text, MAX_TITLE_CHARS)?.ok_or_else(|| "must not be empty".to_owned())
}

pub fn venue(text: Option<String>) -> Result<Option<String>, String> {
    one_line(text, MAX_VENUE_CHARS)
}

/// `amount` is none if it is missing or can't be parsed.
pub fn price(amount: Option<Money>, min_price: Money) -> Result<Money, String> {
    amount
        .filter(|price| (min_price..=Money::MAX).contains(price))
        .ok_or_else(|| format!("must be between {min_price} and {}, like 20 or 20.50", Money::MAX))
}

/// Some places; `default` if that is omitted.
pub fn quantity(number: Option<i64>, default: Quantity) -> Result<Quantity, String> {
    match number {
        Some(number) => Quantity::parse(number)
            .ok_or_else(|| format!("must be between {} and {}", Quantity::ONE, Quantity::MAX)),
        None => Ok(default),
    }
}

/// How buyers get in; `current` if that is omitted.
pub fn delivery(name: Option<&str>, current: Delivery) -> Result<Delivery, String> {
    let Some(name) = name else { return Ok(current) };
    let known = Delivery::ALL.into_iter().find(|delivery| delivery.as_str() == name);
    known.ok_or_else(|| {
        let [first, second] = Delivery::ALL.map(Delivery::as_str);
        format!("must be {first} or {second}")
    })
}

/// All places are paid by one payment.
pub fn sold_together(quantity: Quantity, price: Money) -> Result<Quantity, String> {
    if quantity.times(price) <= Money::MAX {
        Ok(quantity)
    } else {
        Err(format!("must not cost more than {} together", Money::MAX))
    }
}

pub fn description(text: Option<String>) -> Result<Option<String>, String> {
    let text = text.unwrap_or_default();
    text::multi_line(&text, MAX_DESCRIPTION_CHARS).map_err(|error| error.to_string())
}

/// `current` is the date of the listing that is edited: it isn't judged again when it stays the same, so that a typo can
/// be corrected once the event has begun.
pub fn date(
    text: Option<String>,
    current: Option<Time>,
    now: Time,
) -> Result<Option<Time>, String> {
    let Some(text) = text else { return Ok(None) };
    // NEVER is how an undated ticket is stored for sorting; no date may equal it.
    let date = Time::parse(&text).filter(|date| *date < Time::NEVER);
    let date = date.ok_or("must be a date and time like 2026-01-31T19:30:00+01:00")?;
    if date < now && Some(date) != current {
        Err("must be in the future".to_owned())
    } else {
        Ok(Some(date))
    }
}

pub fn time_zone(name: Option<String>, default: &str) -> Result<String, String> {
    match name {
        Some(name) => time_zone::parse(&name)
            .map_err(|_| "must be an IANA time zone like Europe/Berlin".to_owned()),
        None => Ok(default.to_owned()),
    }
}

fn one_line(text: Option<String>, max_chars: usize) -> Result<Option<String>, String> {
    text::one_line(&text.unwrap_or_default(), max_chars).map_err(|error| error.to_string())
}
