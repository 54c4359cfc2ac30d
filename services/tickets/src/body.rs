//! The body of `POST` and `PUT`: what a seller writes about a ticket.

use common::listing::{Delivery, Listing};
use common::money::AmountInput;
use common::settings::MarketSettings;
use common::{Quantity, Time};
use httpkit::Error;
use httpkit::validation::Rules;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::draft::{self, Draft};

/// The body as it was sent. Its rules are checked by [`TicketBody::parse`], all of them, so that one response reports
/// every violation.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewTicket, description = "What a seller writes about a ticket.")]
pub struct TicketBody {
    /// One line.
    #[schema(required = true, nullable = false, min_length = 1, example = "Tosca, row 7")]
    pub title: Option<String>,
    /// Of one place; at least `MIN_PRICE`, at most 999999.99.
    #[schema(required = true, nullable = false)]
    pub price: Option<AmountInput>,
    /// Line breaks are allowed.
    pub description: Option<String>,
    /// In the future; in a PUT, the date that the ticket has may be past.
    #[schema(format = DateTime, example = "2030-05-01T19:00:00+02:00")]
    pub date: Option<String>,
    /// An IANA name; `TIME_ZONE` if it is omitted.
    #[schema(example = "Europe/Vienna")]
    pub time_zone: Option<String>,
    /// One line.
    #[schema(example = "State Opera")]
    pub venue: Option<String>,
    /// How many places it has: 1 if it is omitted, in a PUT as many as before. It only grows.
    #[schema(minimum = 1, maximum = 1000, example = 2)]
    pub quantity: Option<i64>,
    /// How many places one order may have; 10 if it is omitted.
    #[schema(minimum = 1, maximum = 1000)]
    pub max_per_order: Option<i64>,
    /// An order takes all places, whose total is at most 999999.99.
    pub sold_together: Option<bool>,
    /// Nobody can order for now; in a PUT as before if it is omitted.
    pub closed: Option<bool>,
    /// How buyers get in: the seller sends the original of somebody else's event, or our codes are checked at the seller's own door.
    /// `seller_delivers` if it is omitted, in a PUT as before.
    #[schema(value_type = Option<Delivery>)]
    pub delivery: Option<String>,
}

/// How long its texts may be.
pub const MAX_CHARS: [(&str, usize); 3] = [
    ("title", draft::MAX_TITLE_CHARS),
    ("description", draft::MAX_DESCRIPTION_CHARS),
    ("venue", draft::MAX_VENUE_CHARS),
];

impl TicketBody {
    /// Refuses with one violation for every broken rule. `current` is the listing that is edited: how many places it has,
    /// whether it is closed, and how buyers get in, stays if it is omitted.
    pub fn parse(
        self,
        market: &MarketSettings,
        current: Option<&Listing>,
        now: Time,
    ) -> Result<Draft, Error> {
        let current_date = current.and_then(|listing| listing.date);
        let current_quantity = current.map_or(Quantity::ONE, |listing| listing.quantity);
        let is_closed = current.is_some_and(|listing| listing.closed);
        let amount = self.price.and_then(|amount| amount.parse().ok());
        let mut rules = Rules::default();
        let title = rules.check("title", draft::title(self.title));
        let price = rules.check("price", draft::price(amount, market.min_price));
        let description = rules.check("description", draft::description(self.description));
        let date = rules.check("date", draft::date(self.date, current_date, now));
        let time_zone = draft::time_zone(self.time_zone, &market.time_zone);
        let time_zone = rules.check("timeZone", time_zone);
        let venue = rules.check("venue", draft::venue(self.venue));
        let sold_together = self.sold_together.unwrap_or(false);
        let quantity = draft::quantity(self.quantity, current_quantity);
        let quantity = rules.check("quantity", quantity);
        let quantity = match (quantity, price) {
            (Some(quantity), Some(price)) if sold_together => {
                rules.check("quantity", draft::sold_together(quantity, price))
            }
            (quantity, _) => quantity,
        };
        let max_per_order = draft::quantity(self.max_per_order, Listing::default_max_per_order());
        let max_per_order = rules.check("maxPerOrder", max_per_order);
        let current_delivery = current.map(|listing| listing.delivery).unwrap_or_default();
        let delivery = draft::delivery(self.delivery.as_deref(), current_delivery);
        let delivery = rules.check("delivery", delivery);
        let event = (title, price, description, date, time_zone, venue);
        match (event, quantity, max_per_order, delivery) {
            (
                (
                    Some(title),
                    Some(price),
                    Some(description),
                    Some(date),
                    Some(time_zone),
                    Some(venue),
                ),
                Some(quantity),
                Some(max_per_order),
                Some(delivery),
            ) => {
                let currency = market.currency.clone();
                let listing = Listing {
                    title,
                    price,
                    currency,
                    date,
                    time_zone,
                    venue,
                    quantity,
                    max_per_order,
                    sold_together,
                    closed: self.closed.unwrap_or(is_closed),
                    delivery,
                };
                Ok(Draft { listing, description })
            }
            (..) => Err(rules.into_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::Money;
    use common::listing::Delivery;

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

    fn body(json: &str) -> TicketBody {
        serde_json::from_str(json).unwrap()
    }

    fn violations(json: &str) -> Vec<String> {
        match body(json).parse(&market(), None, now()) {
            Ok(draft) => panic!("{draft:?}"),
            Err(Error::Invalid(violations)) => {
                violations.into_iter().filter_map(|violation| violation.field).collect()
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_title_and_a_price_are_enough() {
        let json = r#"{"title": "  Motörhead ", "price": 20, "date": null, "venue": " "}"#;
        let draft = body(json).parse(&market(), None, now());
        let listing = Listing {
            title: "Motörhead".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            ..Listing::unknown(Money::from_minor(2000), "usd".parse().unwrap())
        };
        let expected = Draft { listing, description: None };
        assert_eq!(draft.unwrap(), expected);
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let long = "x".repeat(5001);
        let json = format!(
            r#"{{"title": " ", "price": "0.49", "description": "{long}", "date": "soon",
                "timeZone": "Mars/Olympus", "venue": "a\nb"}}"#
        );
        assert_eq!(
            violations(&json),
            ["title", "price", "description", "date", "timeZone", "venue"]
        );
        assert_eq!(violations("{}"), ["title", "price"]);
    }

    #[test]
    fn lengths_are_counted_in_characters_after_trimming() {
        let title = |text: &str| {
            let body = TicketBody { title: Some(text.to_owned()), ..body(r#"{"price": "20.50"}"#) };
            body.parse(&market(), None, now()).is_ok()
        };
        assert!(title(&"é".repeat(200)));
        assert!(title(&format!("  {}  ", "x".repeat(200))));
        assert!(!title(&"é".repeat(201)));
        for blank in [
            "",
            "   ",
            "\u{200B}",
            "\u{3164}",
            "\u{2800}",
            "\u{0}",
            "a\u{0}b",
            "a\tb",
            "a\u{202E}b",
        ] {
            assert!(!title(blank), "{blank:?}");
        }
    }

    #[test]
    fn a_description_may_have_several_lines() {
        let json = r#"{"title": "x", "price": 1, "description": " one\r\n\ttwo "}"#;
        let draft = body(json).parse(&market(), None, now()).unwrap();
        assert_eq!(draft.description.as_deref(), Some("one\n\ttwo"));
    }

    #[test]
    fn a_price_must_be_within_its_bounds() {
        for (price, valid) in [
            ("0.50", true),
            ("\"999999.99\"", true),
            ("0.49", false),
            ("1000000", false),
            ("12.345", false),
            ("-1", false),
            ("1e300", false),
        ] {
            let json = format!(r#"{{"title": "x", "price": {price}}}"#);
            assert_eq!(body(&json).parse(&market(), None, now()).is_ok(), valid, "{price}");
        }
    }

    #[test]
    fn a_date_must_not_be_in_the_past() {
        for (date, valid) in [
            ("2026-01-31T12:00:00Z", true),
            ("2026-01-31T13:00:00+01:00", true),
            ("2026-01-31T11:59:59.999Z", false),
            ("2026-02-30T12:00:00Z", false),
            ("2026-02-01", false),
            (&Time::NEVER.to_string(), false),
        ] {
            let json = format!(r#"{{"title": "x", "price": 1, "date": "{date}"}}"#);
            assert_eq!(body(&json).parse(&market(), None, now()).is_ok(), valid, "{date}");
        }
    }

    #[test]
    fn the_current_date_of_a_listing_may_be_in_the_past() {
        let date = Time::parse("2026-01-31T10:00:00Z");
        let current =
            Listing { date, ..Listing::unknown(Money::from_minor(1), "usd".parse().unwrap()) };
        for (date, valid) in [
            ("2026-01-31T10:00:00Z", true),
            ("2026-01-31T11:00:00+01:00", true),
            ("2026-01-31T10:00:01Z", false),
        ] {
            let json = format!(r#"{{"title": "x", "price": 1, "date": "{date}"}}"#);
            assert_eq!(
                body(&json).parse(&market(), Some(&current), now()).is_ok(),
                valid,
                "{date}"
            );
        }
    }

    #[test]
    fn a_quantity_is_between_one_and_a_thousand_and_stays_if_it_is_omitted() {
        for (quantity, valid) in [("1", true), ("1000", true), ("0", false), ("1001", false)] {
            for member in ["quantity", "maxPerOrder"] {
                let json = format!(r#"{{"title": "x", "price": 1, "{member}": {quantity}}}"#);
                match body(&json).parse(&market(), None, now()) {
                    Ok(_) => assert!(valid, "{json}"),
                    Err(_) => assert!(!valid && violations(&json) == [member], "{json}"),
                }
            }
        }
        let many = Listing {
            quantity: Quantity::new(400),
            closed: true,
            ..Listing::unknown(Money::from_minor(1), "usd".parse().unwrap())
        };
        let draft = body(r#"{"title": "x", "price": 1}"#).parse(&market(), Some(&many), now());
        let listing = draft.unwrap().listing;
        assert_eq!((listing.quantity.get(), listing.max_per_order.get()), (400, 10));
        assert!(listing.closed && !listing.sold_together);
        let reopened = body(r#"{"title": "x", "price": 1, "closed": false, "quantity": 500}"#);
        let listing = reopened.parse(&market(), Some(&many), now()).unwrap().listing;
        assert_eq!((listing.quantity.get(), listing.closed), (500, false));
    }

    #[test]
    fn the_seller_delivers_unless_the_listing_says_otherwise_and_that_stays_if_it_is_omitted() {
        let parsed = |json: &str, current| {
            body(json).parse(&market(), current, now()).map(|draft| draft.listing.delivery)
        };
        let plain = r#"{"title": "x", "price": 1}"#;
        assert_eq!(parsed(plain, None).unwrap(), Delivery::SellerDelivers);
        let checked = r#"{"title": "x", "price": 1, "delivery": "checked_in_here"}"#;
        assert_eq!(parsed(checked, None).unwrap(), Delivery::CheckedInHere);
        let current = Listing {
            delivery: Delivery::CheckedInHere,
            ..Listing::unknown(Money::from_minor(1), "usd".parse().unwrap())
        };
        assert_eq!(parsed(plain, Some(&current)).unwrap(), Delivery::CheckedInHere);
        for name in ["by_post", "unknown", ""] {
            let json = format!(r#"{{"title": "x", "price": 1, "delivery": "{name}"}}"#);
            assert_eq!(violations(&json), ["delivery"]);
        }
    }

    #[test]
    fn tickets_that_are_sold_together_must_be_payable_together() {
        let json = r#"{"title": "x", "price": "500000", "quantity": 2, "soldTogether": true}"#;
        assert_eq!(violations(json), ["quantity"]);
        let json = r#"{"title": "x", "price": "499999.99", "quantity": 2, "soldTogether": true}"#;
        assert!(body(json).parse(&market(), None, now()).is_ok());
    }

    #[test]
    fn a_time_zone_is_stored_under_its_canonical_name() {
        let json = r#"{"title": "x", "price": 1, "timeZone": "Asia/Calcutta"}"#;
        let draft = body(json).parse(&market(), None, now()).unwrap();
        assert_eq!(draft.listing.time_zone, "Asia/Kolkata");
    }
}
