//! A ticket from the mail to the door: its code is read from the mail by another library, and typed as a scanner would.

use std::io::Cursor;

use serde_json::Value;
use system_tests::browser::{Look, screenshots};
use system_tests::{Browser, Stack};
use testkit::{Client, eventually};

use crate::inspection::Inspection;
use crate::people::{GOOD_CARD, Visitor, member, title};
use crate::shared::{Scripts, default_stack};

#[tokio::test]
async fn the_code_in_the_mail_opens_the_door_once() {
    let stack = default_stack().await;
    let (seller, buyer) =
        (member(stack, "seller", Scripts::On).await, member(stack, "buyer", Scripts::On).await);
    let title = title("Motörhead, standing");
    let (ticket, order) = sale(&seller, &buyer, &title).await;
    buyer.browser.shows("passes").await;
    let mut inspection = Inspection::default();
    inspection.page(&buyer.browser, "order-with-code").await;
    buyer.browser.visit(&format!("{order}/tickets")).await;
    inspection.page(&buyer.browser, "tickets-to-print").await;

    let code = code_in_the_mail(stack, &buyer, &title).await;
    seller.browser.visit(&ticket).await;
    seller.browser.follow("open-door").await;
    inspection.page(&seller.browser, "door").await;
    scan(&seller, &code, "scan-admitted").await;
    inspection.page(&seller.browser, "door-admitted").await;
    scan(&seller, &code, "scan-already").await;
    seller.browser.sees("Gate 2").await;
    inspection.page(&seller.browser, "door-already-in").await;
    let changed = if code.starts_with('1') { "2" } else { "1" };
    scan(&seller, &format!("{changed}{}", &code[1..]), "scan-refused").await;
    inspection.page(&seller.browser, "door-refused").await;
    assert_eq!(seller.path_of_page().await, format!("{ticket}/door"));

    // After a refund it opens nothing.
    seller.browser.visit(&format!("{order}/refund")).await;
    seller.browser.press("confirm-refund").await;
    buyer.browser.finds_at(&order, "order-refunded").await;
    seller.browser.visit(&format!("{ticket}/door")).await;
    scan(&seller, &code, "scan-refused").await;
    inspection.passes();
}

#[tokio::test]
async fn the_door_works_without_javascript_and_refuses_a_refunded_ticket() {
    let stack = default_stack().await;
    let (seller, buyer) =
        (member(stack, "seller", Scripts::Off).await, member(stack, "buyer", Scripts::Off).await);
    let title = title("Hawkwind, standing");
    let (ticket, order) = sale(&seller, &buyer, &title).await;
    let code = code_in_the_mail(stack, &buyer, &title).await;
    seller.browser.visit(&format!("{order}/refund")).await;
    seller.browser.press("confirm-refund").await;
    buyer.browser.finds_at(&order, "order-refunded").await;
    seller.browser.visit(&format!("{ticket}/door")).await;
    scan(&seller, &code, "scan-refused").await;
}

/// A ticket that is checked in at its seller's own door, and paid. Returns its path and that of the order.
async fn sale(seller: &Visitor, buyer: &Visitor, title: &str) -> (String, String) {
    seller.browser.visit("/tickets/new").await;
    seller.browser.choose("checked_in_here").await;
    let ticket = seller.fills_and_lists(title, "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.finds_at(&order, "order-paid").await;
    buyer.browser.finds_at(&order, "passes").await;
    (ticket, order)
}

async fn scan(staff: &Visitor, code: &str, outcome: &str) {
    staff.browser.fill("gate", "Gate 2").await;
    staff.browser.fill("code", code).await;
    staff.browser.press("check-in").await;
    staff.browser.shows(outcome).await;
}

/// Opens the buyer's mail in the local mailbox, and reads its QR code.
async fn code_in_the_mail(stack: &Stack, buyer: &Visitor, title: &str) -> String {
    let mailbox = format!("http://127.0.0.1:{}", stack.port("mail"));
    let client = Client::new(&mailbox);
    let subject = format!("You bought: {title}");
    let id = eventually("the mail", || async {
        let list = client.get("/api/mails").await.expect(200);
        let mails = list["mails"].as_array().unwrap().iter();
        let mut ours = mails.filter(|mail| mail["subject"] == subject.as_str());
        ours.find(|mail| mail["to"][0] == buyer.email.as_str()).map(|mail| mail["id"].clone())
    })
    .await;
    let Value::Number(id) = id else { panic!("{id}") };
    let reader = Browser::open(&mailbox).await;
    reader.visit(&format!("/api/mails/{id}/html")).await;
    for look in Look::ALL {
        reader.looks(look).await;
        let file = format!("mail-with-code-{}.png", look.name());
        reader.photograph(&screenshots().join(file)).await;
    }
    let picture = format!("{mailbox}/api/mails/{id}/attachments/0");
    let picture = reqwest::get(picture).await.unwrap().bytes().await.unwrap();
    read(&picture)
}

fn read(picture: &[u8]) -> String {
    let mut reader = png::Decoder::new(Cursor::new(picture)).read_info().unwrap();
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
