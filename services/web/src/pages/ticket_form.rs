//! What a seller writes about a ticket: the fields of the two pages that offer and edit one.

use std::sync::LazyLock;

use common::Time;
use common::settings::MarketSettings;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::Deserialize;

use crate::api::{Ticket, TicketDraft};
use crate::app::App;
use crate::forms::{Complaints, Named, typed_amount};

/// The fields, as they were typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    pub title: String,
    pub price: String,
    /// As `datetime-local` writes it: `2026-01-31T19:30`, in the zone below.
    pub date: String,
    pub time_zone: String,
    pub venue: String,
    pub description: String,
    /// The form's key, or the version that was edited.
    pub key: String,
    pub version: i64,
}

pub const FIELDS: &[Named] = &[
    ("title", "title", "Title"),
    ("price", "price", "Price"),
    ("date", "date", "Date"),
    ("timeZone", "time_zone", "Time zone"),
    ("venue", "venue", "Venue"),
    ("description", "description", "Description"),
];

/// What the deployment sells for.
pub struct Offer {
    /// `USD`
    pub currency: String,
    pub price_hint: String,
}

impl Offer {
    pub fn of(app: &App) -> Offer {
        let MarketSettings { currency, min_price, .. } = &app.settings.market;
        Offer {
            currency: currency.as_str().to_uppercase(),
            price_hint: format!("At least {min_price}. It is all that the buyer pays."),
        }
    }
}

impl Typed {
    pub fn empty(zone: &str) -> Typed {
        Typed { time_zone: zone.to_owned(), ..Typed::default() }
    }

    pub fn of(ticket: &Ticket) -> Typed {
        Typed {
            title: ticket.title.clone(),
            price: ticket.price.to_string(),
            date: ticket.date.map(|date| typed_date(date, &ticket.time_zone)).unwrap_or_default(),
            time_zone: ticket.time_zone.clone(),
            venue: ticket.venue.clone().unwrap_or_default(),
            description: ticket.description.clone().unwrap_or_default(),
            key: String::new(),
            version: ticket.version,
        }
    }

    /// What tickets is told, which judges all but the date: only here it is known how that was typed.
    pub fn draft(&self) -> Result<TicketDraft, Complaints> {
        let date = match self.date.trim() {
            "" => None,
            text => Some(read_date(text, &self.time_zone)?.to_string()),
        };
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.trim().is_empty());
        Ok(TicketDraft {
            title: self.title.clone(),
            price: typed_amount(&self.price),
            description: filled(&self.description),
            date,
            time_zone: filled(&self.time_zone),
            venue: filled(&self.venue),
        })
    }
}

fn typed_date(date: Time, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let timestamp = jiff::Timestamp::from_millisecond(date.millis()).unwrap_or_default();
    timestamp.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// The moment at which a clock in that zone shows this.
fn read_date(text: &str, zone: &str) -> Result<Time, Complaints> {
    const UNREAD: &str = "A date is written as 2026-01-31T19:30.";
    let unread = || Complaints::about("date", UNREAD);
    let unknown = || Complaints::about("time_zone", "Choose one of the time zones.");
    let shown: DateTime = text.parse().map_err(|_| unread())?;
    let zone = TimeZone::get(zone).map_err(|_| unknown())?;
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        let text = "There is no such time on that day: the clocks go forward, and leave it out.";
        return Err(Complaints::about("date", text));
    }
    // Of a time that a clock shows twice, the first.
    let timestamp = ambiguous.earlier().map_err(|_| unread())?;
    let millis = timestamp.as_millisecond();
    if millis < 0 { Err(unread()) } else { Ok(Time::from_millis(millis)) }
}

/// The zones to choose from: continents with their places.
pub struct Continent {
    pub name: &'static str,
    pub zones: Vec<Zone>,
}

pub struct Zone {
    pub name: String,
    /// Without the continent: `Buenos Aires`.
    pub place: String,
}

const CONTINENTS: [&str; 9] = [
    "Africa",
    "America",
    "Antarctica",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
];

pub static ZONES: LazyLock<Vec<Continent>> = LazyLock::new(|| {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let zones = |continent: &str| {
        let zone = |name: &String| {
            let place = name.strip_prefix(continent)?.strip_prefix('/')?;
            Some(Zone { name: name.clone(), place: place.replace('_', " ").replace('/', ", ") })
        };
        names.iter().filter_map(zone).collect()
    };
    CONTINENTS.into_iter().map(|name| Continent { name, zones: zones(name) }).collect()
});

/// Whether a zone is among those to choose from; UTC always is.
pub fn is_offered(name: &str) -> bool {
    name == "UTC"
        || ZONES.iter().flat_map(|continent| &continent.zones).any(|zone| zone.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> Result<String, Complaints> {
        read_date(text, zone).map(|time| time.to_string())
    }

    #[test]
    fn a_date_is_read_in_its_own_zone() {
        assert_eq!(at("2026-07-01T19:30", "Europe/Berlin").unwrap(), "2026-07-01T17:30:00.000Z");
        assert_eq!(at("2026-07-01T19:30:15", "UTC").unwrap(), "2026-07-01T19:30:15.000Z");
    }

    #[test]
    fn a_time_that_the_clocks_leave_out_is_refused_and_one_that_comes_twice_is_the_first() {
        let left_out = at("2026-03-29T02:30", "Europe/Berlin").unwrap_err();
        assert!(left_out.on("date").unwrap().contains("clocks go forward"));
        assert_eq!(at("2026-10-25T02:30", "Europe/Berlin").unwrap(), "2026-10-25T00:30:00.000Z");
    }

    #[test]
    fn what_is_no_date_or_no_zone_is_told_beside_its_field() {
        for text in ["soon", "2026-02-30T10:00", "1960-01-01T10:00", "2026-01-01"] {
            let read = at(text, "UTC");
            // A date alone is midnight: what a browser without a picker may send.
            assert_eq!(read.is_ok(), text == "2026-01-01", "{text}: {read:?}");
        }
        assert!(at("2026-01-01T10:00", "Mars/Olympus").unwrap_err().on("time_zone").is_some());
    }

    #[test]
    fn a_date_is_shown_as_it_was_typed() {
        let time = read_date("2026-07-01T19:30", "America/New_York").unwrap();
        assert_eq!(typed_date(time, "America/New_York"), "2026-07-01T19:30");
    }

    #[test]
    fn the_world_is_there_to_choose_from() {
        assert!(is_offered("UTC") && is_offered("Europe/Berlin") && is_offered("Asia/Kolkata"));
        assert!(!is_offered("EST5EDT") && !is_offered(""));
    }
}
