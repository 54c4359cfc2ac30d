//! Times and amounts as people read them, on pages and in mails alike.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::clock::Time;
use crate::ids::OrderId;
use crate::money::{Currency, Money};
use crate::places::Quantity;

/// A time in its own zone, for display and as RFC 3339.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// RFC 3339, with the zone's offset.
    pub iso: String,
    /// `Sat 21 Nov 2026`
    pub date: String,
    /// `19:30`
    pub time: String,
    /// The zone's abbreviation at that time: `CET`.
    pub zone: String,
    /// `21`
    pub day: String,
    /// `Nov`
    pub month: String,
    /// `Sat`
    pub weekday: String,
    /// `2026`
    pub year: String,
}

impl When {
    /// `zone` is an IANA name; an unknown one is treated as UTC.
    pub fn of(time: Time, zone: &str) -> When {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let zoned = in_zone(time, zone);
        let written = |pattern: &str| zoned.strftime(pattern).to_string();
        When {
            iso: written("%Y-%m-%dT%H:%M:%S%:z"),
            date: written("%a %-d %b %Y"),
            time: written("%H:%M"),
            zone: written("%Z"),
            day: written("%-d"),
            month: written("%b"),
            weekday: written("%a"),
            year: written("%Y"),
        }
    }
}

fn in_zone(time: Time, zone: TimeZone) -> Zoned {
    let timestamp = Timestamp::from_millisecond(time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(zone)
}

/// `$20.50`, or `20.50 CHF` for currencies without a well-known sign.
pub fn price(amount: Money, currency: &Currency) -> String {
    match sign(currency) {
        Some(sign) => format!("{sign}{}", grouped(amount)),
        None => format!("{} {}", grouped(amount), currency.as_str().to_uppercase()),
    }
}

/// The well-known sign of a currency, if it has one.
pub fn sign(currency: &Currency) -> Option<&'static str> {
    match currency.as_str() {
        "usd" => Some("$"),
        "eur" => Some("€"),
        "gbp" => Some("£"),
        _ => None,
    }
}

/// `3 × $20.00 = $60.00`; of one, its price.
pub fn product(quantity: Quantity, each: Money, currency: &Currency) -> String {
    let each_price = price(each, currency);
    if quantity == Quantity::ONE {
        return each_price;
    }
    format!("{quantity} × {each_price} = {}", price(quantity.times(each), currency))
}

/// The number of an order's receipt, which follows from the order and never changes: `20261121-0C1D2E3F4A5B`, the day on
/// which it was placed (UTC) and the random end of its id.
pub fn receipt_number(order: OrderId) -> String {
    let id = order.to_string().replace('-', "").to_uppercase();
    let (_, end) = id.split_at(id.len().saturating_sub(12));
    match order.created_at() {
        Some(time) => format!("{}-{end}", in_zone(time, TimeZone::UTC).strftime("%Y%m%d")),
        None => end.to_owned(),
    }
}

/// `1,234.50`
fn grouped(amount: Money) -> String {
    let plain = amount.to_string();
    let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, "00"));
    let mut grouped = String::with_capacity(plain.len() + 2);
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{decimals}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_formatted_with_their_currency() {
        let price = |minor, code: &str| price(Money::from_minor(minor), &code.parse().unwrap());
        assert_eq!(price(2050, "usd"), "$20.50");
        assert_eq!(price(99_999_999, "eur"), "€999,999.99");
        assert_eq!(price(123_450, "chf"), "1,234.50 CHF");
        assert_eq!(price(50, "gbp"), "£0.50");
    }

    #[test]
    fn a_total_is_shown_with_its_parts() {
        let product = |number, minor| {
            let each = Money::from_minor(minor);
            product(Quantity::new(number), each, &"usd".parse().unwrap())
        };
        assert_eq!(product(2, 2000), "2 × $20.00 = $40.00");
        assert_eq!(product(60, 2050), "60 × $20.50 = $1,230.00");
        assert_eq!(product(1, 2000), "$20.00");
    }

    #[test]
    fn the_number_of_a_receipt_follows_from_its_order() {
        let day = Time::parse("2026-11-21T23:59:59Z").unwrap();
        let order = OrderId::new(day);
        let number = receipt_number(order);
        assert_eq!(number, receipt_number(order));
        let end = order.to_string().replace('-', "").to_uppercase().split_off(20);
        assert_eq!(number, format!("20261121-{end}"));
        assert_ne!(number, receipt_number(OrderId::new(day)));
    }

    #[test]
    fn times_are_formatted_in_their_own_zone() {
        let when = When::of(Time::parse("2026-11-21T18:30:00Z").unwrap(), "Europe/Berlin");
        assert_eq!((&*when.date, &*when.time, &*when.zone), ("Sat 21 Nov 2026", "19:30", "CET"));
        assert_eq!(when.iso, "2026-11-21T19:30:00+01:00");
    }
}
