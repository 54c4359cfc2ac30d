//! Times and amounts as people read them.

use common::ids::TicketId;
use common::money::Currency;
use common::{Money, Time};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time in its own zone, for people and for programs.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// RFC 3339, with the zone's offset.
    pub iso: String,
    /// `Sat 21 Nov 2026`
    pub date: String,
    /// `19:30`
    pub time: String,
    /// What the zone is called then: `CET`.
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
    /// The zone's name must be an IANA one; others are read as UTC.
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

/// The time until something ends, by the server's clock: a visitor's may be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Countdown {
    pub seconds_left: u64,
    pub end: When,
}

impl Countdown {
    pub fn to(end: Time, now: Time, zone: &str) -> Countdown {
        Countdown { seconds_left: now.until(end).as_secs(), end: When::of(end, zone) }
    }

    /// `14:05`
    pub fn clock(&self) -> String {
        let (minutes, seconds) = (self.seconds_left / 60, self.seconds_left % 60);
        if minutes < 60 {
            format!("{minutes}:{seconds:02}")
        } else {
            format!("{}:{:02}:{seconds:02}", minutes / 60, minutes % 60)
        }
    }

    /// Whether it is time to hurry.
    pub fn is_ending(&self) -> bool {
        self.seconds_left < 120
    }
}

/// Which of the five colours of stock a ticket is printed on: always the same one.
pub fn stock(id: TicketId) -> usize {
    id.to_string().bytes().rev().take(4).map(usize::from).sum::<usize>() % 5
}

/// The end of an id, as it stands on a stub: `7F3A 91BC`.
pub fn serial(id: impl ToString) -> String {
    let id = id.to_string().replace('-', "").to_uppercase();
    let (first, last) = id.split_at(id.len().saturating_sub(4));
    format!("{} {last}", &first[first.len().saturating_sub(4)..])
}

/// `$20.50`, or `20.50 CHF` where there is no sign that everybody knows.
pub fn price(amount: Money, currency: &Currency) -> String {
    let sign = match currency.as_str() {
        "usd" => "$",
        "eur" => "€",
        "gbp" => "£",
        code => return format!("{} {}", grouped(amount), code.to_uppercase()),
    };
    format!("{sign}{}", grouped(amount))
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
    fn an_amount_is_written_with_its_currency() {
        let price = |minor, code: &str| price(Money::from_minor(minor), &code.parse().unwrap());
        assert_eq!(price(2050, "usd"), "$20.50");
        assert_eq!(price(99_999_999, "eur"), "€999,999.99");
        assert_eq!(price(123_450, "chf"), "1,234.50 CHF");
        assert_eq!(price(50, "gbp"), "£0.50");
    }

    #[test]
    fn a_time_is_written_in_its_own_zone() {
        let when = When::of(Time::parse("2026-11-21T18:30:00Z").unwrap(), "Europe/Berlin");
        assert_eq!((&*when.date, &*when.time, &*when.zone), ("Sat 21 Nov 2026", "19:30", "CET"));
        assert_eq!(when.iso, "2026-11-21T19:30:00+01:00");
    }

    #[test]
    fn a_ticket_has_its_number_and_its_colour() {
        let id: TicketId = "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b".parse().unwrap();
        assert_eq!(serial(id), "2E3F 4A5B");
        assert!(stock(id) < 5 && stock(id) == stock(id));
    }

    #[test]
    fn a_countdown_is_written_as_a_clock() {
        let now = Time::parse("2026-11-21T18:30:00Z").unwrap();
        let clock = |millis| Countdown::to(Time::from_millis(now.millis() + millis), now, "UTC");
        assert_eq!(clock(845_900).clock(), "14:05");
        assert_eq!(clock(9_000).clock(), "0:09");
        assert_eq!(clock(7_325_000).clock(), "2:02:05");
        assert_eq!(clock(-5_000).clock(), "0:00");
        assert!(clock(119_000).is_ending() && !clock(120_000).is_ending());
    }
}
