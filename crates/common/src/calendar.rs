//! A calendar file with one event (RFC 5545), for the buyer of a ticket.

use jiff::Timestamp;

use crate::clock::Time;
use crate::ids::OrderId;

/// The name and the media type of the file.
pub const FILE: (&str, &str) = ("ticket.ics", "text/calendar; charset=utf-8");
/// A line has at most so many bytes; longer ones are folded.
const LINE: usize = 75;

/// The event that an order has bought tickets of. `link` leads to the order.
pub fn event(
    order: OrderId,
    title: &str,
    venue: Option<&str>,
    begins: Time,
    link: &str,
    now: Time,
) -> String {
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Ticketing//EN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{order}"),
        format!("DTSTAMP:{}", utc(now)),
        format!("DTSTART:{}", utc(begins)),
        format!("SUMMARY:{}", escaped(title)),
    ];
    lines.extend(venue.map(|venue| format!("LOCATION:{}", escaped(venue))));
    lines.push(format!("URL:{link}"));
    lines.extend(["END:VEVENT", "END:VCALENDAR"].map(str::to_owned));
    lines.iter().map(|line| folded(line)).collect()
}

fn utc(time: Time) -> String {
    let timestamp = Timestamp::from_millisecond(time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// What users write adds no property.
fn escaped(text: &str) -> String {
    let plain = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    plain
        .flat_map(|char| match char {
            '\\' | ';' | ',' => [Some('\\'), Some(char)],
            _ => [Some(char), None],
        })
        .flatten()
        .collect()
}

/// Between characters, with a space at the beginning of each line after the first.
fn folded(line: &str) -> String {
    let mut folded = String::with_capacity(line.len() + 2);
    let mut length = 0;
    for char in line.chars() {
        if length + char.len_utf8() > LINE {
            folded.push_str("\r\n ");
            length = 1;
        }
        folded.push(char);
        length += char.len_utf8();
    }
    folded + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_time_its_place_and_what_users_wrote_as_text() {
        let now = Time::parse("2027-01-01T00:00:00Z").unwrap();
        let order = OrderId::new(now);
        let title = "Tosca, row 7\r\nEND:VEVENT";
        let venue = Some("Arena; north, 日本");
        let begins = Time::parse("2027-03-05T18:30:00Z").unwrap();
        let file = event(order, title, venue, begins, "http://x/orders/1", now);
        for line in [
            "DTSTART:20270305T183000Z\r\n",
            "SUMMARY:Tosca\\, row 7  END:VEVENT\r\n",
            "LOCATION:Arena\\; north\\, 日本\r\n",
            "URL:http://x/orders/1\r\n",
        ] {
            assert!(file.contains(line), "{line} is not in\n{file}");
        }
        assert_eq!(file.matches("\r\nEND:VEVENT\r\n").count(), 1);
    }

    #[test]
    fn long_lines_are_folded_between_characters() {
        let now = Time::from_millis(0);
        let file = event(OrderId::new(now), &"é".repeat(200), None, now, "http://x", now);
        assert!(file.split("\r\n").all(|line| line.len() <= LINE), "{file}");
        assert!(file.replace("\r\n ", "").contains(&"é".repeat(200)));
    }
}
