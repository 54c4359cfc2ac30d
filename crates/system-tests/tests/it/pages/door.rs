//! A ticket that is checked in at its seller's own door, with plain forms.

use system_tests::{Page, PlainBrowser};
use testkit::eventually;

use crate::shared;

/// Reloads a page until it has this part.
async fn shows(browser: &PlainBrowser, address: &str, part: &str) -> Page {
    eventually(&format!("{address} to show {part}"), || async {
        Some(browser.opens(address).await).filter(|page| page.has(part))
    })
    .await
}

async fn codes(buyer: &PlainBrowser, order: &str) -> Vec<String> {
    let path = format!("/api{order}/admissions");
    let shown = buyer.client.get(&path).await.expect(200);
    let admissions = shown["admissions"].as_array().unwrap().iter();
    admissions.map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

async fn scans(staff: &PlainBrowser, door: &str, code: &str) -> Page {
    let form = staff.opens(door).await.form(door).with("code", code).with("gate", "Gate 2");
    staff.sends(&form).await
}

#[tokio::test]
async fn a_code_opens_the_door_once_for_the_seller_and_their_staff() {
    let stack = shared::default().await;
    let (seller, buyer, staff) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    staff.signs_up("Kim").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Motörhead").with("price", "20").with("quantity", "3");
    let form = form.with("delivery", "checked_in_here");
    let ticket = seller.sends(&form).await.path().to_owned();
    assert!(buyer.opens(&ticket).await.has("delivery-checked_in_here"));
    let order = buyer.buys_many(&ticket, 2).await.path().to_owned();
    buyer.pays(&order, "tok_visa").await.expect(200);

    // The buyer has a code for each place; the seller has none, and no other page has.
    let page = shows(&buyer, &order, "passes").await;
    assert_eq!(page.texts("[data-test='pass'] svg").len(), 2);
    let printed = buyer.opens(&format!("{order}/tickets")).await;
    assert_eq!(printed.texts("[data-test='pass']").len(), 2);
    assert!(!seller.opens(&order).await.has("passes"));
    let file = format!("{order}/tickets.pdf");
    let pdf = buyer.opens(&file).await.answer;
    assert_eq!(pdf.header("content-type"), Some("application/pdf"));
    assert_eq!(pdf.header("cache-control"), Some("no-store"));
    assert!(
        pdf.text.starts_with("%PDF-") && pdf.text.contains("/Count 2"),
        "a page for each place"
    );
    // Nobody but its buyer gets the file.
    assert_eq!(seller.opens(&file).await.path(), order);
    staff.opens(&file).await.answer.expect(403);
    let codes = codes(&buyer, &order).await;
    for page in [&page, &printed] {
        assert!(codes.iter().all(|code| !page.answer.text.contains(code.as_str())));
    }

    // The door: green once, then amber with the time and the gate; anything else red.
    let door = format!("{ticket}/door");
    let page = seller.opens(&door).await;
    assert_eq!((page.part("in"), page.part("left")), ("0".to_owned(), "2".to_owned()));
    let policy = page.answer.header("permissions-policy").unwrap();
    assert!(policy.starts_with("camera=(self)"), "{policy}");
    let page = scans(&seller, &door, &codes[0]).await;
    page.expect_part("scan-admitted");
    assert_eq!((page.part("in"), page.part("left")), ("1".to_owned(), "1".to_owned()));
    let page = scans(&seller, &door, &codes[0]).await;
    assert!(page.part("scan-already").contains("Gate 2"), "{}", page.main());
    assert!(!page.answer.text.contains(&codes[0]));
    scans(&seller, &door, "TOSCA").await.expect_part("scan-refused");
    buyer.opens(&order).await.expect_part("checked-in");

    // Staff joins by the seller's link, and is removed again.
    let invite = seller.opens(&door).await.form(&format!("{door}/invite"));
    seller.sends(&invite).await.expect(200);
    let link = seller.opens(&door).await.part("staff-link");
    let link = link.trim().split_once("/tickets/").unwrap().1;
    let join = staff.opens(&format!("/tickets/{link}")).await.form(&format!("{door}/join"));
    staff.sends(&join).await.expect(200);
    let page = scans(&staff, &door, &codes[1]).await;
    page.expect_part("scan-admitted");
    assert!(!page.has("staff-link"));
    let page = seller.opens(&door).await;
    seller.sends(&page.form(&format!("{door}/dismiss"))).await.expect(200);
    staff.opens(&door).await.answer.expect(403);
    buyer.opens(&door).await.answer.expect(403);

    // Refunded: refused, although it was good.
    let refund = format!("{order}/refund");
    let form = seller.opens(&refund).await.form(&refund);
    seller.sends(&form).await.expect(200);
    shows(&buyer, &order, "order-refunded").await;
    let path = format!("/api{order}/admissions");
    eventually("the codes to end", || async {
        (buyer.client.get(&path).await.status == 409).then_some(())
    })
    .await;
    assert!(!buyer.opens(&order).await.has("passes"));
    assert_eq!(seller.opens(&door).await.part("left"), "0");
}
