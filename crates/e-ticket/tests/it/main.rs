//! The file, as another library reads it.

#![expect(clippy::unwrap_used, reason = "a test fails where an expectation is violated")]

use admissions::{Admission, AdmissionKeys, Code};
use common::display::When;
use common::ids::{OrderId, TicketId};
use common::{Place, Time};
use e_ticket::ETicket;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use lopdf::Document;
use lopdf::content::{Content, Operation};

fn ticket() -> ETicket {
    let date = Time::parse("2027-03-05T18:30:00Z").unwrap();
    ETicket {
        title: "Tosca, row 7".to_owned(),
        venue: Some("Státní opera, Прага, Ὀρφεύς".to_owned()),
        date: Some(When::of(date, "Europe/Prague")),
        order: "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b".to_owned(),
        link: "https://tickets.example.com/orders/01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b".to_owned(),
        receipt: "20261121-0C1D2E3F4A5B".to_owned(),
    }
}

fn code(place: u16) -> Code {
    let pem = SigningKey::from_bytes(&[7; 32]).to_pkcs8_pem(LineEnding::LF).unwrap();
    let id = "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b";
    let (ticket, order) = (id.parse::<TicketId>().unwrap(), id.parse::<OrderId>().unwrap());
    let admission = Admission { ticket, order, place: Place::new(place) };
    AdmissionKeys::from_pem(&pem).unwrap().code(&admission)
}

/// The file for these places.
fn pdf(ticket: &ETicket, places: &[u16]) -> Vec<u8> {
    let codes = places.iter().map(|place| (Place::new(*place), code(*place).qr().unwrap()));
    let codes: Vec<_> = codes.collect();
    ticket.pdf(codes.iter().map(|(place, code)| (*place, code))).unwrap()
}

/// The text of each page.
fn texts(file: &[u8]) -> Vec<String> {
    let document = Document::load_mem(file).unwrap();
    let pages = document.get_pages().into_keys();
    pages.map(|page| document.extract_text(&[page]).unwrap()).collect()
}

#[test]
fn there_is_a_page_for_each_place_with_what_matters_as_text() {
    let file = pdf(&ticket(), &[2, 7, 1000]);
    let texts = texts(&file);
    assert_eq!(texts.len(), 3);
    for (index, (text, place)) in texts.iter().zip(["2", "7", "1000"]).enumerate() {
        for fact in [
            "Tosca, row 7",
            "Státní opera, Прага, Ὀρφεύς",
            "Fri 5 Mar 2027, 19:30 CET",
            "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b",
            "20261121-0C1D2E3F4A5B",
            &format!("E-ticket {} of 3", index + 1),
        ] {
            assert!(text.contains(fact), "{fact} is not in\n{text}");
        }
        assert!(text.lines().any(|line| line.trim() == place), "{place} is not in\n{text}");
    }
    let one = pdf(&ticket(), &[1]);
    assert!(!self::texts(&one)[0].contains("E-ticket 1"));
}

#[test]
fn another_library_reads_each_code_from_what_is_drawn() {
    let file = pdf(&ticket(), &[2, 1000]);
    let document = Document::load_mem(&file).unwrap();
    for (page, place) in document.get_pages().into_values().zip([2, 1000]) {
        let content = Content::decode(&document.get_page_content(page)).unwrap();
        assert_eq!(read(&content.operations), code(place).reveal());
    }
}

/// The code that the rectangles of a page draw: the path with the most of them.
fn read(operations: &[Operation]) -> String {
    let mut paths = vec![Vec::new()];
    let mut scale = 1.0;
    for Operation { operator, operands } in operations {
        let number = |index: usize| operands[index].as_float().unwrap();
        match operator.as_str() {
            "cm" => scale *= number(0),
            "m" => paths.last_mut().unwrap().push([number(0), number(1), number(0), number(1)]),
            "l" => {
                let rectangle = paths.last_mut().unwrap().last_mut().unwrap();
                *rectangle = [
                    rectangle[0].min(number(0)),
                    rectangle[1].min(number(1)),
                    rectangle[2].max(number(0)),
                    rectangle[3].max(number(1)),
                ];
            }
            "re" => paths.last_mut().unwrap().push([
                number(0),
                number(1),
                number(0) + number(2),
                number(1) + number(3),
            ]),
            "f" | "f*" => paths.push(Vec::new()),
            _ => {}
        }
    }
    let code = paths.iter().max_by_key(|path| path.len()).unwrap();
    let least = |side: usize| code.iter().map(|one| one[side]).fold(f32::INFINITY, f32::min);
    let most = |side: usize| code.iter().map(|one| one[side]).fold(0.0, f32::max);
    let (left, top, width) = (least(0), least(1), most(2) - least(0));
    let points = width * scale;
    assert!(points > 200.0, "seven centimetres at least: {points} points");
    // With its margin: four modules of 45.
    let (pixels, margin) = (45 * 6, 4 * 6);
    let scale = width / pixels as f32;
    let grey = |x: usize, y: usize| {
        let at = |pixel: usize| (pixel as f32 + 0.5 - margin as f32) * scale;
        let (x, y) = (left + at(x), top + at(y));
        let is_dark =
            code.iter().any(|one| one[0] <= x && x <= one[2] && one[1] <= y && y <= one[3]);
        if is_dark { 0 } else { 255 }
    };
    let side = pixels + 2 * margin;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

#[test]
fn the_same_order_has_the_same_file_and_a_code_is_only_drawn() {
    let file = pdf(&ticket(), &[2]);
    assert_eq!(file, pdf(&ticket(), &[2]));
    assert_ne!(file, pdf(&ticket(), &[3]));
    assert!(file.starts_with(b"%PDF-") && file.len() < 100_000, "{} bytes", file.len());
    let text = texts(&file).concat();
    assert!(!text.contains(code(2).reveal()), "{text}");
}

#[test]
fn what_the_font_lacks_and_what_is_long_makes_no_difference_to_the_rest() {
    let mut ticket = ticket();
    ticket.title = format!("日本語 שלום 🎟 {}", "Langer Titel ".repeat(14));
    ticket.venue = Some("Venue ".repeat(33));
    let file = pdf(&ticket, &[1]);
    let texts = texts(&file);
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("Langer Titel") && texts[0].contains("20261121-0C1D2E3F4A5B"));
    let document = Document::load_mem(&file).unwrap();
    let page = document.get_pages()[&1];
    let content = Content::decode(&document.get_page_content(page)).unwrap();
    assert_eq!(read(&content.operations), code(1).reveal());
    // Nothing is below the page.
    for Operation { operator, operands } in &content.operations {
        if operator == "Tm" {
            assert!(operands[5].as_float().unwrap() >= 0.0, "{operands:?}");
        }
    }
}
