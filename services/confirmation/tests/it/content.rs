//! What mails say, and what they can't be made to say.

use admissions::{Admission, AdmissionKeys};
use common::display::receipt_number;
use common::events::{CancelReason, Handover, HandoverState, Order, OrderCompleted, OrderUpdated};
use common::listing::Delivery;
use testkit::fixtures::{self, UserChanges as _};

use crate::world::{World, user_event};

#[tokio::test]
async fn a_confirmation_has_the_facts_of_the_order_as_text_and_html() {
    let world = World::start().await;
    let mut order = world.order();
    order.ticket.listing.date = common::Time::parse("2027-03-05T18:30:00Z");
    world.bus().publish(&OrderCompleted(fixtures::completed(&order))).await;
    world.settled().await;
    world.mailbox.expect(2).await;

    for mail in world.mailbox.arrived().await {
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let (text, html) = (read["text"].as_str().unwrap(), read["html"].as_str().unwrap());
        let link = format!("http://localhost:8080/orders/{}", order.id);
        for fact in ["Tosca, row 7", "Arena", "$20.50", "Fri 5 Mar 2027, 19:30 CET", &link] {
            assert!(text.contains(fact), "{fact} is not in the text:\n{text}");
            assert!(html.contains(fact), "{fact} is not in the HTML:\n{html}");
        }
        // It says whom it comes from, and loads nothing that would say that it was opened.
        let headers = read["headers"].as_array().unwrap();
        let header = |name: &str| {
            let named = headers.iter().find(|header| header["name"] == name);
            named.unwrap_or_else(|| panic!("no {name}"))["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(header("From"), "Ticketing <tickets@example.com>");
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        for loads in ["<img", "<script", "url(", "<link", "src="] {
            assert!(!html.contains(loads), "{loads}:\n{html}");
        }
        let is_buyers = mail.to == "buyer@example.org";
        let links = if is_buyers { 3 } else { 2 };
        assert_eq!(html.matches("href=").count(), links, "the home page and the order: {html}");
        let receipt = format!("Receipt {}: {link}/receipt", receipt_number(order.id));
        assert_eq!(text.contains(&receipt), is_buyers, "{text}");
    }
}

#[tokio::test]
async fn an_order_of_several_is_reported_with_their_number_and_the_total() {
    let world = World::start().await;
    let order = fixtures::with_places(world.order(), [2, 7, 9]);
    let complete = fixtures::completed(&order);
    world.bus().publish(&OrderCompleted(complete.clone())).await;
    world.settled().await;
    world.cancel(&complete, CancelReason::Refunded).await;
    let expired = fixtures::with_places(world.order(), [1, 2]);
    world.cancel(&expired, CancelReason::Expired).await;
    world.all_final().await;

    let mut subjects = Vec::new();
    for mail in world.mailbox.expect(5).await {
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let facts = if mail.subject.starts_with("Your reservation") {
            ["Quantity", "2 × $20.50 = $41.00", "they’re back on sale"]
        } else {
            ["Quantity", "3 × $20.50 = $61.50", "Tosca, row 7"]
        };
        for fact in facts {
            for kind in ["text", "html"] {
                let content = read[kind].as_str().unwrap();
                assert!(content.contains(fact), "{fact} is not in the {kind}:\n{content}");
            }
        }
        for one in ["this ticket", "a ticket", "the ticket or", "hand it over", "it’s back on sale"]
        {
            assert!(!read["text"].as_str().unwrap().contains(one), "{one}: {}", read["text"]);
        }
        subjects.push(mail.subject);
    }
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        [
            "Refunded: Tosca, row 7",
            "Sale refunded: Tosca, row 7",
            "You bought: 3 × Tosca, row 7",
            "You sold: 3 × Tosca, row 7",
            "Your reservation expired: Tosca, row 7",
        ]
    );
}

#[tokio::test]
async fn the_confirmation_of_tickets_that_are_checked_in_has_a_code_for_each_and_a_calendar_file() {
    let world = World::start().await;
    let mut order = fixtures::with_places(world.order(), [7, 2]);
    order.ticket.listing.delivery = Delivery::CheckedInHere;
    order.ticket.listing.date = common::Time::parse("2027-03-05T18:30:00Z");
    world.bus().publish(&OrderCompleted(fixtures::completed(&order))).await;
    world.settled().await;
    let keys = AdmissionKeys::from_file(&world.infra.admission_key_file()).unwrap();
    for mail in world.mailbox.expect(2).await {
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let html = read["html"].as_str().unwrap();
        let attachments = read["attachments"].as_array().unwrap();
        let names: Vec<_> = attachments.iter().map(|one| one["name"].as_str().unwrap()).collect();
        if mail.to != "buyer@example.org" {
            assert!(attachments.is_empty() && !html.contains("<img"), "{read}");
            continue;
        }
        assert_eq!(names, ["ticket-2.png", "ticket-7.png", "tickets.pdf", "ticket.ics"]);
        assert_eq!(html.matches("src=").count(), html.matches("src=\"cid:ticket-").count());
        for (index, place) in [2, 7].into_iter().enumerate() {
            let path = format!("/api/mails/{}/attachments/{index}", mail.id);
            let code = read_png(&world.mailbox.get_bytes(&path).await);
            let place = common::Place::new(place);
            let admission = Admission { ticket: order.ticket.id, order: order.id, place };
            assert_eq!(keys.verify(&code), Ok(admission));
            // It is in the picture alone.
            assert!(!html.contains(&code) && !read["text"].as_str().unwrap().contains(&code));
        }
        assert_eq!(attachments[2]["contentType"], "application/pdf");
        let pdf = format!("/api/mails/{}/attachments/2", mail.id);
        let pdf = lopdf::Document::load_mem(&world.mailbox.get_bytes(&pdf).await).unwrap();
        for (page, place) in [(1, "2"), (2, "7")] {
            let text = pdf.extract_text(&[page]).unwrap();
            assert!(
                text.contains("Tosca, row 7") && text.contains(&order.id.to_string()),
                "{text}"
            );
            assert!(text.lines().any(|line| line.trim() == place), "{text}");
        }
        assert_eq!(pdf.get_pages().len(), 2);
        let calendar = format!("/api/mails/{}/attachments/3", mail.id);
        let calendar = world.mailbox.get_text(&calendar).await;
        assert!(calendar.contains("DTSTART:20270305T183000Z"));
    }
}

/// The code in a picture, as another library reads it.
fn read_png(png: &[u8]) -> String {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let grey = |x: usize, y: usize| {
        let byte = pixels[y * info.line_size + x / 8];
        if byte >> (7 - x % 8) & 1 == 1 { 255 } else { 0 }
    };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
    image.detect_grids()[0].decode().unwrap().1
}

#[tokio::test]
async fn every_kind_of_mail_is_text_and_html_in_our_dress() {
    let world = World::start_without_users().await;
    let buyer = user_event(world.buyer.id, "buyer@example.org", &world.infra);
    world.publish_user(&buyer.with_name(Some("Kim".to_owned()))).await;
    world.publish_user(&user_event(world.seller.id, "seller@example.org", &world.infra)).await;
    let complete = world.sale().await;
    let mut delivered = complete.clone();
    for (state, changes) in [(HandoverState::Sent, 1), (HandoverState::Problem, 2)] {
        let handover = Some(Handover { state, changes });
        let version = delivered.version + 1;
        delivered = Order { handover, version, ..delivered };
        world.bus().publish(&OrderUpdated(delivered.clone())).await;
        world.settled().await;
        world.all_sent().await;
    }
    world.cancel(&delivered, CancelReason::Refunded).await;
    world.cancel(&world.order(), CancelReason::Expired).await;
    let paid_at = Some(world.infra.clock.now());
    world.cancel(&Order { paid_at, ..world.order() }, CancelReason::PaymentFailed).await;
    world.all_final().await;
    let arrived = world.mailbox.expect(11).await;
    let mut subjects: Vec<_> = arrived.iter().map(|mail| mail.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        [
            "Order cancelled: Tosca, row 7",
            "Problem reported: Tosca, row 7",
            "Refunded: Tosca, row 7",
            "Sale cancelled: Tosca, row 7",
            "Sale refunded: Tosca, row 7",
            "Welcome to Ticketing",
            "Welcome to Ticketing",
            "You bought: Tosca, row 7",
            "You sold: Tosca, row 7",
            "Your reservation expired: Tosca, row 7",
            "Your seller has sent: Tosca, row 7",
        ]
    );
    for mail in arrived {
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let (text, html) = (read["text"].as_str().unwrap(), read["html"].as_str().unwrap());
        assert!(!text.contains('<') && !text.contains("\n\n\n\n"), "{text}");
        assert!(html.contains("prefers-color-scheme: dark") && html.contains("class=\"button\""));
        assert!(!text.contains("{{") && !html.contains("{{"), "{html}");
    }
}

/// Titles, venues and names are what users write.
#[tokio::test]
async fn what_users_write_adds_no_header_and_no_markup() {
    let world = World::start_without_users().await;
    let name = "Kim\r\nBcc: everyone@example.org".to_owned();
    let buyer = user_event(world.buyer.id, "buyer@example.org", &world.infra);
    world.publish_user(&buyer.with_name(Some(name))).await;
    let mut order = world.order();
    order.ticket.listing.title = "<script>x</script>\r\nBcc: all@example.org, 日本語 🎟".to_owned();
    order.ticket.listing.venue = Some("<a href=\"https://phish.example\">here</a>".to_owned());
    world.bus().publish(&OrderCompleted(fixtures::completed(&order))).await;
    world.settled().await;
    // The seller's waits for an address.
    let arrived = world.mailbox.expect(2).await;
    for mail in arrived {
        assert_eq!(mail.to, "buyer@example.org");
        let read = world.mailbox.get_json(&format!("/api/mails/{}", mail.id)).await;
        let headers = read["headers"].as_array().unwrap();
        assert!(headers.iter().all(|header| header["name"] != "Bcc"), "{headers:?}");
        let html = read["html"].as_str().unwrap();
        assert!(!html.contains("<script") && !html.contains("href=\"https://phish"), "{html}");
    }
}
