//! Times and amounts, formatted for people.

use common::Time;
pub use common::display::{When, price, product, sign};
use common::ids::TicketId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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

#[cfg(test)]
mod tests {
    use super::*;

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
