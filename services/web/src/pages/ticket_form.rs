//! The fields of a listing, shared by the pages that list and edit a ticket.

use std::sync::LazyLock;

use common::listing::{Delivery, Listing};
use common::money::Currency;
use common::settings::MarketSettings;
use common::text::{self, TextError};
use common::{Money, Quantity, Time, time_zone};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::Deserialize;

use crate::api::{Refusal, Ticket, TicketDraft};
use crate::format::price;
use crate::forms::{FieldError, FormErrors, typed_amount, without_thousands};
use crate::state::App;

/// The fields, as the seller typed them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    pub title: String,
    pub price: String,
    /// In the format of `datetime-local`, in the zone below: `2026-01-31T19:30`.
    pub date: String,
    /// Empty until the seller or the script of the page has chosen one.
    pub time_zone: String,
    /// The date of the listing that the form was filled from, in RFC 3339: the field above has neither its seconds nor, when
    /// clocks go back, which of the two times it is.
    pub instant: String,
    pub venue: String,
    pub description: String,
    /// How many tickets: places of the listing.
    pub quantity: String,
    pub max_per_order: String,
    /// A checkbox: not empty if it is ticked.
    pub sold_together: String,
    /// How buyers get in, by the API's name.
    pub delivery: String,
    /// The idempotency key of a new listing.
    pub key: String,
    /// The version that is being edited.
    pub version: i64,
}

/// The longest title, venue and description that tickets accepts.
const TITLE_MAX_CHARS: usize = 200;
const VENUE_MAX_CHARS: usize = 200;
const DESCRIPTION_MAX_CHARS: usize = 5000;

/// The market's rules for prices, as the form shows them.
pub struct PriceRules {
    /// `USD`
    pub currency: String,
    pub hint: String,
    /// The message for any other price.
    error: String,
}

impl PriceRules {
    pub fn of(app: &App) -> PriceRules {
        let MarketSettings { currency, min_price, .. } = &app.settings.market;
        PriceRules {
            currency: currency.as_str().to_uppercase(),
            hint: format!(
                "Minimum {}. Buyers pay exactly this; we add no fees.",
                price(*min_price, currency)
            ),
            error: format!(
                "Enter a price between {} and {}, like 20 or 20.50",
                price(*min_price, currency),
                price(Money::MAX, currency)
            ),
        }
    }
}

impl Typed {
    /// The form of a new listing, of one ticket.
    pub fn new() -> Typed {
        Typed {
            quantity: Quantity::ONE.to_string(),
            max_per_order: Listing::default_max_per_order().to_string(),
            delivery: Delivery::default().as_str().to_owned(),
            ..Typed::default()
        }
    }

    pub fn of(ticket: &Ticket) -> Typed {
        Typed {
            title: ticket.title.clone(),
            price: ticket.price.to_string(),
            date: ticket.date.map(|date| typed_date(date, &ticket.time_zone)).unwrap_or_default(),
            time_zone: ticket.time_zone.clone(),
            instant: ticket.date.map(|date| date.to_string()).unwrap_or_default(),
            venue: ticket.venue.clone().unwrap_or_default(),
            description: ticket.description.clone().unwrap_or_default(),
            quantity: ticket.quantity.to_string(),
            max_per_order: ticket.max_per_order.to_string(),
            sold_together: if ticket.sold_together { "true" } else { "" }.to_owned(),
            delivery: ticket.delivery.as_str().to_owned(),
            key: String::new(),
            version: ticket.version,
        }
        .canonical()
    }

    /// With the name of the time zone that the list has: browsers report some zones by an older one.
    pub fn canonical(mut self) -> Typed {
        if let Some(name) = time_zone::canonical_name(&self.time_zone) {
            self.time_zone = name;
        }
        self
    }

    /// The date: as it is stored, if the fields still show it.
    fn read_date(&self) -> Result<Time, FieldError> {
        let read = read_date(self.date.trim(), &self.time_zone)?;
        Ok(self.unchanged_date().unwrap_or(read))
    }

    fn unchanged_date(&self) -> Option<Time> {
        let stored = Time::parse(&self.instant)?;
        let zone = TimeZone::get(&self.time_zone).ok()?;
        let shown: DateTime = self.date.trim().parse().ok()?;
        let local = jiff::Timestamp::from_millisecond(stored.millis()).ok()?.to_zoned(zone);
        let to_second = local.datetime().with().subsec_nanosecond(0).build().ok()?;
        let to_minute = to_second.with().second(0).build().ok()?;
        [to_second, to_minute].contains(&shown).then_some(stored)
    }

    /// The message for a rule of tickets that this field breaks.
    pub fn field_error(&self, field: &str, price_rules: &PriceRules) -> Option<FieldError> {
        Some(match field {
            "title" if text::is_blank(&self.title) => FieldError::on("title", "Enter a title"),
            "title" => FieldError::on_line("title", "Title", &self.title, TITLE_MAX_CHARS),
            "price" => FieldError::on("price", price_rules.error.clone()),
            "date" => match self.read_date() {
                Ok(_) => FieldError::on("date", "Date and time must be in the future"),
                Err(error) => error,
            },
            "timeZone" => unknown_zone(),
            "venue" => FieldError::on_line("venue", "Venue", &self.venue, VENUE_MAX_CHARS),
            "description" => {
                let rule = match text::multi_line(&self.description, DESCRIPTION_MAX_CHARS) {
                    Err(TextError::TooLong(_)) => "must be at most 5,000 characters",
                    Err(TextError::Invisible) => "can’t contain invisible characters",
                    Err(TextError::Control) | Ok(_) => "can’t contain control characters",
                };
                FieldError::on("description", format!("Description {rule}"))
            }
            "quantity" if self.is_edit() => FieldError::on(
                "quantity",
                "Enter a whole number up to 1,000. A listing can’t have fewer tickets than before",
            ),
            "quantity" => FieldError::on("quantity", "Enter a whole number from 1 to 1,000"),
            "maxPerOrder" => {
                FieldError::on("max_per_order", "Enter a whole number from 1 to 1,000")
            }
            "delivery" => FieldError::on("delivery", "Choose how buyers get in"),
            _ => return None,
        })
    }

    fn is_edit(&self) -> bool {
        self.version > 0
    }

    /// The details of a listing that can't be changed any more.
    pub fn fixed_errors(refusal: &Refusal) -> FormErrors {
        let mut errors = FormErrors::none();
        for name in refusal.names("fields") {
            let (field, label) = match name {
                "title" => ("title", "Title"),
                "date" => ("date", "Date and time"),
                "timeZone" => ("time_zone", "Time zone"),
                "venue" => ("venue", "Venue"),
                "delivery" => ("delivery", "How buyers get in"),
                "quantity" => ("quantity", "Quantity"),
                "soldTogether" => ("sold_together", "Selling all tickets together"),
                _ => continue,
            };
            let text = format!("{label} can’t be changed once tickets are reserved or sold");
            errors.push(FieldError::on(field, text));
        }
        if errors.is_empty() {
            errors.push(FieldError::of_form(refusal.detail.clone()));
        }
        errors
    }

    /// The request to tickets, which validates every field. A date that can't be converted is sent as typed, so
    /// that tickets rejects it along with all other errors.
    pub fn draft(&self, currency: &Currency) -> TicketDraft {
        let date = match self.date.trim() {
            "" => None,
            text => {
                Some(self.read_date().map_or_else(|_| text.to_owned(), |time| time.to_string()))
            }
        };
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.trim().is_empty());
        TicketDraft {
            title: self.title.clone(),
            price: typed_amount(&self.price, currency),
            description: filled(&self.description),
            date,
            time_zone: filled(&self.time_zone),
            venue: filled(&self.venue),
            quantity: whole_number(&self.quantity),
            max_per_order: whole_number(&self.max_per_order),
            sold_together: !self.sold_together.is_empty(),
            delivery: filled(&self.delivery),
            closed: None,
        }
    }
}

/// None if nothing was typed. What isn't a number is sent as 0, so that tickets rejects it along with all other errors.
fn whole_number(typed: &str) -> Option<i64> {
    let typed = typed.trim();
    let number = || typed.parse().ok().or_else(|| without_thousands(typed, None)?.parse().ok());
    (!typed.is_empty()).then(|| number().unwrap_or(0))
}

fn unknown_zone() -> FieldError {
    FieldError::on("time_zone", "Choose the time zone of the venue from the list")
}

fn typed_date(date: Time, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let timestamp = jiff::Timestamp::from_millisecond(date.millis()).unwrap_or_default();
    timestamp.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// The time at which a clock in that zone shows this.
fn read_date(text: &str, zone: &str) -> Result<Time, FieldError> {
    let unread = || FieldError::on("date", "Enter a date and time in the format 2026-01-31T19:30");
    let shown: DateTime = text.parse().map_err(|_| unread())?;
    let zone = TimeZone::get(zone).map_err(|_| unknown_zone())?;
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        let text = "That time doesn’t exist on this date because the clocks go forward.";
        return Err(FieldError::on("date", text));
    }
    // When clocks go back, a time occurs twice: the first one is meant.
    let timestamp = ambiguous.earlier().map_err(|_| unread())?;
    let millis = timestamp.as_millisecond();
    if millis < 0 { Err(unread()) } else { Ok(Time::from_millis(millis)) }
}

/// The time zones to choose from, by continent.
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
            // One name for each zone: the others are its aliases.
            time_zone::canonical_name(name).filter(|canonical| canonical == name)?;
            Some(Zone { name: name.clone(), place: place.replace('_', " ").replace('/', ", ") })
        };
        names.iter().filter_map(zone).collect()
    };
    CONTINENTS.into_iter().map(|name| Continent { name, zones: zones(name) }).collect()
});

/// Whether a zone is in the list; UTC always is.
pub fn is_listed(name: &str) -> bool {
    name == "UTC"
        || ZONES.iter().flat_map(|continent| &continent.zones).any(|zone| zone.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        "usd".parse().expect("a currency")
    }

    fn at(text: &str, zone: &str) -> Result<String, FieldError> {
        read_date(text, zone).map(|time| time.to_string())
    }

    #[test]
    fn dates_are_read_in_the_chosen_zone() {
        assert_eq!(at("2026-07-01T19:30", "Europe/Berlin").unwrap(), "2026-07-01T17:30:00.000Z");
        assert_eq!(at("2026-07-01T19:30:15", "UTC").unwrap(), "2026-07-01T19:30:15.000Z");
    }

    #[test]
    fn a_skipped_time_is_refused_and_a_repeated_one_is_the_first() {
        let skipped = at("2026-03-29T02:30", "Europe/Berlin").unwrap_err();
        assert_eq!(skipped.field, Some("date"));
        assert_eq!(at("2026-10-25T02:30", "Europe/Berlin").unwrap(), "2026-10-25T00:30:00.000Z");
    }

    #[test]
    fn an_invalid_date_or_zone_is_an_error_of_its_field() {
        for text in ["soon", "2026-02-30T10:00", "1960-01-01T10:00", "2026-01-01"] {
            let read = at(text, "UTC");
            // A date alone is midnight: what a browser without a picker may send.
            assert_eq!(read.is_ok(), text == "2026-01-01", "{text}: {read:?}");
        }
        let error = at("2026-01-01T10:00", "Mars/Olympus").unwrap_err();
        assert_eq!(error.field, Some("time_zone"));
    }

    #[test]
    fn an_invalid_date_is_sent_as_typed_and_tickets_rejects_it() {
        for date in ["soon", "2026-03-29T02:30"] {
            let typed = typed(date, "Europe/Berlin", "");
            assert_eq!(typed.draft(&usd()).date.as_deref(), Some(date));
            assert_eq!(Time::parse(date), None);
        }
    }

    fn typed(date: &str, zone: &str, instant: &str) -> Typed {
        let (date, time_zone) = (date.to_owned(), zone.to_owned());
        Typed { date, time_zone, instant: instant.to_owned(), ..Typed::default() }
    }

    #[test]
    fn a_date_that_is_saved_unchanged_stays_the_same_instant() {
        for stored in [
            // The repeated hour: its first and its second half past two.
            "2027-10-31T00:30:00.000Z",
            "2027-10-31T01:30:00.000Z",
            "2027-07-01T17:30:15.000Z",
            "2027-07-01T17:30:15.250Z",
        ] {
            let zone = "Europe/Berlin";
            let shown = typed_date(Time::parse(stored).unwrap(), zone);
            assert_eq!(typed(&shown, zone, stored).draft(&usd()).date.as_deref(), Some(stored));
        }
        let stored = "2027-10-31T01:30:00.000Z";
        for (date, zone, expected) in [
            ("2027-10-31T02:31", "Europe/Berlin", "2027-10-31T00:31:00.000Z"),
            ("2027-10-31T02:30", "Europe/Lisbon", "2027-10-31T02:30:00.000Z"),
        ] {
            assert_eq!(typed(date, zone, stored).draft(&usd()).date.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_date_needs_a_time_zone() {
        let rules =
            PriceRules { currency: String::new(), hint: String::new(), error: String::new() };
        let typed = typed("2027-07-01T19:30", "", "");
        assert_eq!(typed.draft(&usd()).date.as_deref(), Some("2027-07-01T19:30"));
        assert_eq!(typed.field_error("date", &rules).unwrap().field, Some("time_zone"));
        assert_eq!(Typed::default().draft(&usd()).time_zone, None);
    }

    #[test]
    fn numbers_are_read_and_anything_else_is_left_for_tickets_to_reject() {
        for (typed, sent) in [
            ("", None),
            (" 400 ", Some(400)),
            ("1,000", Some(1000)),
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("ten", Some(0)),
            ("2.5", Some(0)),
        ] {
            assert_eq!(whole_number(typed), sent, "{typed}");
        }
        // A page of the version before submits neither.
        assert_eq!(Typed::default().draft(&usd()).quantity, None);
        assert_eq!(Typed::new().draft(&usd()).quantity, Some(1));
    }

    #[test]
    fn a_zone_that_a_browser_reports_by_an_older_name_is_the_one_in_the_list() {
        for (reported, listed) in
            [("Asia/Calcutta", "Asia/Kolkata"), ("Europe/Kiev", "Europe/Kyiv")]
        {
            assert_eq!(typed("", reported, "").canonical().time_zone, listed);
            assert!(is_listed(listed) && !is_listed(reported), "{listed}");
        }
    }

    #[test]
    fn a_date_is_shown_as_typed() {
        let time = read_date("2026-07-01T19:30", "America/New_York").unwrap();
        assert_eq!(typed_date(time, "America/New_York"), "2026-07-01T19:30");
    }

    #[test]
    fn zones_of_every_continent_are_listed() {
        assert!(is_listed("UTC") && is_listed("Europe/Berlin") && is_listed("Asia/Kolkata"));
        assert!(!is_listed("EST5EDT") && !is_listed(""));
    }
}
