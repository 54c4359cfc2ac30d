//! What a seller writes about a ticket, and the rules that it has to keep. Pure: the time is passed in.

use common::listing::Listing;
use common::money::AmountInput;
use common::settings::{MarketSettings, parse_time_zone};
use common::{Money, Time};
use httpkit::Error;
use httpkit::validation::Rules;
use serde::Deserialize;

const TITLE: usize = 200;
const DESCRIPTION: usize = 5000;
const VENUE: usize = 200;

/// The body of POST and PUT, as it was sent. The rules are in [`Draft::parse`], all of them, so that
/// one answer tells of every broken one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub title: Option<String>,
    pub price: Option<AmountInput>,
    pub description: Option<String>,
    pub date: Option<String>,
    pub time_zone: Option<String>,
    pub venue: Option<String>,
}

/// What a seller says about a ticket, with every rule kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub listing: Listing,
    pub description: Option<String>,
}

impl Draft {
    /// Refuses with one entry for every rule that is broken.
    pub fn parse(input: Input, market: &MarketSettings, now: Time) -> Result<Self, Error> {
        let mut rules = Rules::default();
        let title = rules.check("title", title(input.title));
        let price = rules.check("price", price(input.price, market.min_price));
        let description = rules.check("description", description(input.description));
        let date = rules.check("date", date(input.date, now));
        let time_zone = rules.check("timeZone", time_zone(input.time_zone, market));
        let venue = rules.check("venue", venue(input.venue));
        match (title, price, description, date, time_zone, venue) {
            (
                Some(title),
                Some(price),
                Some(description),
                Some(date),
                Some(time_zone),
                Some(venue),
            ) => {
                let currency = market.currency.clone();
                let listing = Listing { title, price, currency, date, time_zone, venue };
                Ok(Draft { listing, description })
            }
            (..) => Err(rules.into_error()),
        }
    }
}

fn title(text: Option<String>) -> Result<String, String> {
    let title = line(text.unwrap_or_default(), TITLE)?;
    title.ok_or_else(|| "must not be blank".to_owned())
}

fn venue(text: Option<String>) -> Result<Option<String>, String> {
    line(text.unwrap_or_default(), VENUE)
}

fn price(amount: Option<AmountInput>, least: Money) -> Result<Money, String> {
    let price = amount.and_then(|amount| amount.parse().ok());
    price.filter(|price| (least..=Money::MAX).contains(price)).ok_or_else(|| {
        format!("must be an amount from {least} to {}, with at most two decimals", Money::MAX)
    })
}

fn description(text: Option<String>) -> Result<Option<String>, String> {
    let text = text.unwrap_or_default().replace("\r\n", "\n");
    if text.chars().any(|char| char.is_control() && char != '\n' && char != '\t') {
        return Err("must not have control characters".to_owned());
    }
    no_longer_than(DESCRIPTION, text)
}

fn date(text: Option<String>, now: Time) -> Result<Option<Time>, String> {
    let Some(text) = text else { return Ok(None) };
    // NEVER is how an undated ticket is stored for sorting; no date may look like it.
    let date = Time::parse(&text).filter(|date| *date < Time::NEVER);
    let date = date.ok_or("must be a time such as 2026-01-31T19:30:00+01:00")?;
    if date < now { Err("must not be past".to_owned()) } else { Ok(Some(date)) }
}

fn time_zone(name: Option<String>, market: &MarketSettings) -> Result<String, String> {
    match name {
        Some(name) => parse_time_zone(&name)
            .map_err(|_| "must be an IANA time zone such as Europe/Berlin".to_owned()),
        None => Ok(market.time_zone.clone()),
    }
}

/// Text of one line; none if there is nothing to see in it.
fn line(text: String, longest: usize) -> Result<Option<String>, String> {
    if text.trim().chars().any(breaks_a_line) {
        return Err("must be one line, without control characters".to_owned());
    }
    no_longer_than(longest, text)
}

fn no_longer_than(longest: usize, text: String) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.chars().all(|char| char.is_whitespace() || is_unseen(char)) {
        return Ok(None);
    }
    if text.chars().count() > longest {
        return Err(format!("must have at most {longest} characters"));
    }
    Ok(Some(text.to_owned()))
}

/// Control characters, Unicode's own line breaks, and the marks that turn the direction of all that
/// follows, with which a title could rewrite the page around it.
fn breaks_a_line(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no place: a title of them alone is blank to the eye.
fn is_unseen(char: char) -> bool {
    matches!(char, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market() -> MarketSettings {
        MarketSettings {
            currency: "usd".parse().unwrap(),
            min_price: Money::from_minor(50),
            time_zone: "Europe/Berlin".to_owned(),
        }
    }

    fn now() -> Time {
        Time::parse("2026-01-31T12:00:00Z").unwrap()
    }

    fn input(body: &str) -> Input {
        serde_json::from_str(body).unwrap()
    }

    fn broken(body: &str) -> Vec<String> {
        match Draft::parse(input(body), &market(), now()) {
            Ok(draft) => panic!("{draft:?}"),
            Err(Error::Invalid(broken)) => {
                broken.into_iter().filter_map(|violation| violation.field).collect()
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_title_and_a_price_are_enough() {
        let draft = Draft::parse(
            input(r#"{"title": "  Motörhead ", "price": 20, "date": null, "venue": " "}"#),
            &market(),
            now(),
        );
        let listing = Listing {
            title: "Motörhead".to_owned(),
            price: Money::from_minor(2000),
            currency: "usd".parse().unwrap(),
            date: None,
            time_zone: "Europe/Berlin".to_owned(),
            venue: None,
        };
        let expected = Draft { listing, description: None };
        assert_eq!(draft.unwrap(), expected);
    }

    #[test]
    fn every_broken_rule_is_told_at_once() {
        let long = "x".repeat(5001);
        let body = format!(
            r#"{{"title": " ", "price": "0.49", "description": "{long}", "date": "soon",
                "timeZone": "Mars/Olympus", "venue": "a\nb"}}"#
        );
        assert_eq!(broken(&body), ["title", "price", "description", "date", "timeZone", "venue"]);
        assert_eq!(broken("{}"), ["title", "price"]);
    }

    #[test]
    fn lengths_are_counted_in_characters_after_trimming() {
        let title = |text: &str| {
            let input = Input { title: Some(text.to_owned()), ..input(r#"{"price": "20.50"}"#) };
            Draft::parse(input, &market(), now()).is_ok()
        };
        assert!(title(&"é".repeat(200)));
        assert!(title(&format!("  {}  ", "x".repeat(200))));
        assert!(!title(&"é".repeat(201)));
        for blank in ["", "   ", "\u{200B}", "\u{0}", "a\u{0}b", "a\tb", "a\u{202E}b"] {
            assert!(!title(blank), "{blank:?}");
        }
    }

    #[test]
    fn a_description_may_have_lines() {
        let body = r#"{"title": "x", "price": 1, "description": " one\r\n\ttwo "}"#;
        let draft = Draft::parse(input(body), &market(), now()).unwrap();
        assert_eq!(draft.description.as_deref(), Some("one\n\ttwo"));
    }

    #[test]
    fn a_price_is_within_its_bounds() {
        for (price, good) in [
            ("0.50", true),
            ("\"999999.99\"", true),
            ("0.49", false),
            ("1000000", false),
            ("12.345", false),
            ("-1", false),
            ("1e300", false),
        ] {
            let body = format!(r#"{{"title": "x", "price": {price}}}"#);
            assert_eq!(Draft::parse(input(&body), &market(), now()).is_ok(), good, "{price}");
        }
    }

    #[test]
    fn a_date_is_a_present_or_future_one() {
        for (date, good) in [
            ("2026-01-31T12:00:00Z", true),
            ("2026-01-31T13:00:00+01:00", true),
            ("2026-01-31T11:59:59.999Z", false),
            ("2026-02-30T12:00:00Z", false),
            ("2026-02-01", false),
            (&Time::NEVER.to_string(), false),
        ] {
            let body = format!(r#"{{"title": "x", "price": 1, "date": "{date}"}}"#);
            assert_eq!(Draft::parse(input(&body), &market(), now()).is_ok(), good, "{date}");
        }
    }
}
