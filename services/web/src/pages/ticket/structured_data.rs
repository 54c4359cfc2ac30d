//! Structured data for search engines: an event, if the date is known. <https://schema.org/Event>

use common::Time;
use serde_json::json;

use crate::api::{Ticket, TicketStatus};
use crate::format::When;

pub(super) fn is_past(ticket: &Ticket, now: Time) -> bool {
    ticket.date.is_some_and(|date| date < now)
}

/// The content of the page's script element.
pub(super) fn json_ld(ticket: &Ticket, url: &str, now: Time) -> String {
    let availability = match ticket.status {
        TicketStatus::Available | TicketStatus::Reserved if is_past(ticket, now) => {
            "https://schema.org/OutOfStock"
        }
        TicketStatus::Available => "https://schema.org/InStock",
        TicketStatus::Reserved => "https://schema.org/LimitedAvailability",
        TicketStatus::Sold => "https://schema.org/SoldOut",
        TicketStatus::Closed | TicketStatus::Unknown => "https://schema.org/OutOfStock",
    };
    let mut item = json!({
        "@context": "https://schema.org",
        "@type": "Product",
        "name": ticket.title,
        "url": url,
        "offers": {
            "@type": "Offer",
            "url": url,
            "price": ticket.price.to_string(),
            "priceCurrency": ticket.currency.as_str().to_uppercase(),
            "availability": availability,
        },
    });
    if let Some(description) = &ticket.description {
        item["description"] = json!(description);
    }
    if let Some(date) = ticket.date {
        item["@type"] = json!("Event");
        item["startDate"] = json!(When::of(date, &ticket.time_zone).iso);
        item["eventStatus"] = json!("https://schema.org/EventScheduled");
        item["offers"]["validFrom"] = json!(ticket.created_at);
        // An event has to have a location. Sellers who leave the venue out name it in the title or the description.
        let venue = ticket.venue.as_deref().unwrap_or("See the description");
        item["location"] = json!({ "@type": "Place", "name": venue, "address": venue });
    }
    // Embedded in a script element, which a `<` in a title must not close.
    item.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(changes: serde_json::Value) -> Ticket {
        let mut ticket = json!({
            "id": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b", "title": "Tosca", "timeZone": "Europe/Berlin",
            "price": "20.50", "currency": "eur", "userId": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5c",
            "status": "available", "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        });
        ticket.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(ticket).unwrap()
    }

    fn structured_data(changes: serde_json::Value) -> serde_json::Value {
        let now = Time::parse("2026-06-01T00:00:00Z").unwrap();
        serde_json::from_str(&json_ld(&ticket(changes), "https://example.com/tickets/1", now))
            .unwrap()
    }

    #[test]
    fn an_event_has_a_location_and_a_past_one_is_not_in_stock() {
        let future = "2026-06-01T00:00:01Z";
        let event = structured_data(json!({ "date": future, "venue": "Oper" }));
        assert_eq!(event["location"]["name"], "Oper");
        assert_eq!(event["offers"]["availability"], "https://schema.org/InStock");
        let event = structured_data(json!({ "date": future }));
        assert_eq!(event["location"]["@type"], "Place");
        assert_eq!(event["location"]["name"], "See the description");
        for status in ["available", "reserved"] {
            let event =
                structured_data(json!({ "date": "2026-05-31T23:59:59Z", "status": status }));
            assert_eq!(
                event["offers"]["availability"], "https://schema.org/OutOfStock",
                "{status}"
            );
        }
        let sold = structured_data(json!({ "date": "2026-05-31T23:59:59Z", "status": "sold" }));
        assert_eq!(sold["offers"]["availability"], "https://schema.org/SoldOut");
        assert_eq!(
            structured_data(json!({}))["offers"]["availability"],
            "https://schema.org/InStock"
        );
    }

    #[test]
    fn a_title_can_t_close_the_script_element_of_the_structured_data() {
        let ticket: Ticket = serde_json::from_value(json!({
            "id": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b",
            "title": "</script><script>alert(1)</script><!--",
            "date": "2099-01-31T18:30:00Z", "timeZone": "Europe/Berlin", "venue": "Olympia",
            "price": "20.50", "currency": "eur", "userId": "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5c",
            "status": "available", "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let now = Time::parse("2026-01-01T00:00:00Z").unwrap();
        let text = json_ld(&ticket, "https://example.com/tickets/1", now);
        assert!(!text.contains('<'), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"], ticket.title);
        assert_eq!(read["@type"], "Event");
        assert_eq!(read["startDate"], "2099-01-31T19:30:00+01:00");
        assert_eq!(read["offers"]["price"], "20.50");
        assert_eq!(read["offers"]["priceCurrency"], "EUR");
    }
}
