//! What buyers report, for the seller and for administrators.

use bson::doc;
use system_tests::{PlainBrowser, Stack};
use testkit::eventually;

use crate::shared;

/// A browser in which an administrator is signed in.
pub async fn administrator(stack: &Stack) -> PlainBrowser {
    let browser = stack.browser();
    let email = browser.signs_up("Root").await;
    let users = stack.database("auth").await.collection::<bson::Document>("users");
    let group = doc! { "$set": { "groups": ["admin"] } };
    let changed = users.update_one(doc! { "email": &email }, group).await.unwrap();
    assert_eq!(changed.modified_count, 1);
    // The group is in the next session.
    let browser = stack.browser();
    let form = browser.opens("/auth/signin").await.form("/auth/signin");
    let form = form.with("email", &email).with("password", "correct horse");
    browser.sends(&form).await.expect(200);
    browser
}

#[tokio::test]
async fn a_reported_problem_is_seen_by_its_seller_and_administrators_until_it_is_solved() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    let email = buyer.signs_up("Bert").await;
    let ticket = seller.lists("Norma", "10").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    buyer.pays(&order, "tok_visa").await.expect(200);
    let handover = format!("{order}/handover");
    let report = eventually("the order to be paid", || async {
        let page = buyer.opens(&order).await;
        page.has("order-paid").then(|| page.form_with(&handover, "state", "problem"))
    });
    let message = "It never came. <script>";
    buyer.sends(&report.await.with("message", message)).await.expect_part("handover-problem");
    assert!(seller.opens(&order).await.part("reported-problem").contains(message));

    let admin = administrator(stack).await;
    assert!(admin.opens("/account").await.has("to-problems"));
    assert!(!buyer.opens("/account").await.has("to-problems"));
    let page = admin.opens("/problems").await;
    page.expect(200);
    assert!(page.texts("[data-test='problem-message']").iter().any(|text| text == message));
    assert!(page.main().contains(&email) && !page.answer.text.contains("<script>\n"));
    for browser in [&buyer, &seller] {
        browser.opens("/problems").await.expect(403);
    }
    let anonymous = stack.browser().opens("/problems").await;
    assert!(anonymous.path().starts_with("/auth/signin"), "{}", anonymous.address);
    // What is wrong with the address makes no page fail.
    assert_eq!(admin.opens("/problems?cursor=x").await.path(), "/problems");

    let received = buyer.opens(&order).await.form_with(&handover, "state", "received");
    buyer.sends(&received).await.expect_part("handover-received");
    let id = order.rsplit('/').next().unwrap();
    assert!(admin.opens("/problems").await.texts(&format!("#problem-{id}")).is_empty());
}
