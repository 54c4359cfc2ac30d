//! Times and amounts, formatted for people.

use common::ids::TicketId;
use common::money::Currency;
use common::{Money, Quantity, Time};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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
        let timestamp = Timestamp::from_millisecond(time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
        let zoned = timestamp.to_zoned(zone);
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

/// The time until something ends, by the server's clock: the visitor's may be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Countdown {
    pub seconds_left: u64,
    pub end: When,
}

impl Countdown {
    pub fn to(end: Time, now: Time, zone: &str) -> Countdown {
        Countdown { seconds_left: now.until(end).as_secs(), end: When::of(end, zone) }
    }

    /// Whether less than two minutes are left.
    pub fn is_ending(&self) -> bool {
        self.seconds_left < 120
    }
}

/// The address of a new mail. Everything that has a meaning in an address of a page is encoded (RFC 6068 §2).
pub fn mailto(email: &str) -> String {
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let [local, domain] = [local, domain].map(|part| utf8_percent_encode(part, RESERVED));
    format!("mailto:{local}@{domain}")
}

/// A duration in words: `15 minutes`, `1 hour`, `12 seconds`.
pub fn duration(seconds: u64) -> String {
    let (number, unit) = match seconds {
        _ if seconds > 0 && seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        _ if seconds > 0 && seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        _ if seconds >= 600 || (seconds > 0 && seconds.is_multiple_of(60)) => {
            (seconds / 60, "minute")
        }
        _ => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// The colour of a ticket, of five: always the same one for a ticket.
pub fn ticket_colour(id: TicketId) -> usize {
    id.to_string().bytes().rev().take(4).map(usize::from).sum::<usize>() % 5
}

/// The end of an id, as shown on a ticket: `7F3A 91BC`.
pub fn serial(id: impl ToString) -> String {
    let id = id.to_string().replace('-', "").to_uppercase();
    let (first, last) = id.split_at(id.len().saturating_sub(4));
    format!("{} {last}", &first[first.len().saturating_sub(4)..])
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
    fn times_are_formatted_in_their_own_zone() {
        let when = When::of(Time::parse("2026-11-21T18:30:00Z").unwrap(), "Europe/Berlin");
        assert_eq!((&*when.date, &*when.time, &*when.zone), ("Sat 21 Nov 2026", "19:30", "CET"));
        assert_eq!(when.iso, "2026-11-21T19:30:00+01:00");
    }

    #[test]
    fn a_ticket_has_a_reference_and_a_colour() {
        let id: TicketId = "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b".parse().unwrap();
        assert_eq!(serial(id), "2E3F 4A5B");
        assert!(ticket_colour(id) < 5 && ticket_colour(id) == ticket_colour(id));
    }

    #[test]
    fn a_mail_has_one_recipient_whatever_the_address() {
        for (email, link) in [
            ("ada@example.com", "mailto:ada@example.com"),
            ("q?bcc=x&subject=hi@example.com", "mailto:q%3Fbcc%3Dx%26subject%3Dhi@example.com"),
            ("a+b,c%2C@example.com", "mailto:a%2Bb%2Cc%252C@example.com"),
            ("a#b/c@bücher.example", "mailto:a%23b%2Fc@b%C3%BCcher.example"),
        ] {
            assert_eq!(mailto(email), link);
        }
    }

    #[test]
    fn durations_agree_in_number() {
        for (seconds, written) in [
            (900, "15 minutes"),
            (60, "1 minute"),
            (5, "5 seconds"),
            (90, "90 seconds"),
            (1, "1 second"),
            (3_600, "1 hour"),
            (5_400, "90 minutes"),
            (604_800, "7 days"),
        ] {
            assert_eq!(duration(seconds), written);
        }
    }

    #[test]
    fn a_countdown_ends_at_zero_and_warns_in_the_last_two_minutes() {
        let now = Time::parse("2026-11-21T18:30:00Z").unwrap();
        let to = |millis| Countdown::to(Time::from_millis(now.millis() + millis), now, "UTC");
        assert_eq!(to(845_900).seconds_left, 845);
        assert_eq!(to(-5_000).seconds_left, 0);
        assert!(to(119_000).is_ending() && !to(120_000).is_ending());
    }
}
