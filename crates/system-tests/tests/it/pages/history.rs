//! What has happened to an order, as its parties and administrators read it.

use system_tests::{Page, PlainBrowser, link_in};
use testkit::eventually;

use super::problems::administrator;
use crate::shared;

/// Opens the history until this has happened.
async fn until(browser: &PlainBrowser, address: &str, last: &str) -> Page {
    eventually(&format!("{address} to say {last}"), || async {
        let page = browser.opens(address).await;
        happened(&page).iter().any(|what| what == last).then_some(page)
    })
    .await
}

fn happened(page: &Page) -> Vec<String> {
    page.texts("[data-test='happened'] h2")
}

/// What of these the page says, in its order.
fn among(page: &Page, expected: &[&str]) -> Vec<String> {
    let mut happened = happened(page);
    happened.retain(|what| expected.contains(&what.as_str()));
    happened
}

#[tokio::test]
async fn each_party_reads_its_part_and_administrators_find_the_traces() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    let email = buyer.signs_up("Bert").await;
    let welcome = stack.mail(&email, "Welcome to Ticketing", 1).await;
    let form = buyer.opens(&link_in(&welcome, "/verify")).await.form("/verify");
    buyer.sends(&form).await.expect(200);
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Jenůfa").with("price", "20").with("quantity", "3");
    let form = form.with("delivery", "checked_in_here");
    let ticket = seller.sends(&form).await.path().to_owned();
    let order = buyer.buys(&ticket).await.path().to_owned();
    buyer.pays(&order, "tok_chargeDeclined").await.expect(200);
    buyer.pays(&order, "tok_visa").await.expect(200);
    let codes = eventually("the code", async || {
        let shown = buyer.client.get(&format!("/api{order}/admissions")).await;
        (shown.status == 200).then(|| shown.body["admissions"][0]["code"].clone())
    });
    let door = format!("{ticket}/door");
    let form = seller.opens(&door).await.form(&door);
    let code = codes.await.as_str().unwrap().to_owned();
    seller.sends(&form.with("code", &code).with("gate", "Gate 2")).await.expect(200);

    let link = buyer.opens(&order).await.attributes("[data-test='to-history']", "href").remove(0);
    assert_eq!(link, format!("{order}/history"));
    let mail = "Email sent: confirmation to the buyer";
    let page = until(&buyer, &link, mail).await;
    let checked_in = happened(&page).into_iter().find(|what| what.contains("checked in at Gate 2"));
    let checked_in = checked_in.expect("the check-in");
    let expected = [
        "Reserved",
        "Card declined",
        "Payment authorised by the buyer’s bank",
        "Order complete",
        "Card charged",
        &checked_in,
    ];
    assert_eq!(among(&page, &expected), expected);
    assert!(!page.has("trace") && !page.has("history-missing"), "{}", page.main());
    assert!(!page.main().contains(&code));

    // The seller isn't shown the buyer's mails.
    let page = seller.opens(&link).await;
    assert_eq!(happened(&page), expected);

    // Support finds it by its id, with the traces.
    let admin = administrator(stack).await;
    assert!(admin.opens("/admin").await.has("find-order"));
    let id = order.rsplit('/').next().unwrap();
    let page = admin.opens(&format!("/admin/order?id=+{id}+")).await;
    assert_eq!(page.path(), link);
    assert_eq!(among(&page, &expected), expected);
    let traces = page.texts("[data-test='trace'] code");
    assert!(traces.iter().all(|trace| trace.len() == 32), "{traces:?}");
    assert!(traces.len() >= 5, "each event has one: {traces:?}");
    admin.opens("/admin/order?id=nonsense").await.expect(404);

    let other = stack.browser();
    other.signs_up("Carl").await;
    other.opens(&link).await.expect(403);
    assert!(stack.browser().opens(&link).await.path().starts_with("/auth/signin"));
}

#[tokio::test]
async fn it_says_whose_part_is_missing() {
    let stack = shared::default().await;
    let web = stack.other_web(&[("CONFIRMATION_URL", "http://127.0.0.1:9")]).await;
    let (seller, buyer) = (web.browser(), web.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Osud", "10").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    let page = buyer.opens(&format!("{order}/history")).await;
    page.expect(200);
    assert_eq!(happened(&page), ["Reserved"]);
    assert!(page.part("history-missing").contains("mails"), "{}", page.main());
}
