//! A ticket that its seller delivers: sent, missed, reported; with the mails about it.

use bson::doc;
use system_tests::browser::{Look, screenshots};
use system_tests::{Browser, Stack};
use testkit::{Client, eventually};

use crate::inspection::Inspection;
use crate::people::{GOOD_CARD, PASSWORD, Visitor, member, title};
use crate::shared::{Scripts, default_stack};

#[tokio::test]
async fn a_problem_with_a_delivery_reaches_the_seller_and_administrators() {
    let stack = default_stack().await;
    let (seller, buyer) =
        (member(stack, "seller", Scripts::On).await, member(stack, "buyer", Scripts::On).await);
    let title = title("Rusalka, row 7");
    let ticket = seller.lists(&title, "20.50").await;
    let order = buyer.reserves(&ticket).await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.finds_at(&order, "order-paid").await;

    let mut inspection = Inspection::default();
    seller.browser.finds_at(&order, "mark-sent").await;
    seller.browser.press("mark-sent").await;
    seller.browser.shows("handover-sent").await;
    arrives(stack, &buyer, &format!("Your seller has sent: {title}"), "mail-ticket-sent").await;
    buyer.browser.finds_at(&order, "handover-sent").await;
    inspection.page(&buyer.browser, "order-sent").await;
    buyer.browser.evaluate("document.querySelector('main details').open = true").await;
    buyer.browser.fill("message", "It is for another day, and the row is wrong as well.").await;
    buyer.browser.press("report-problem").await;
    buyer.browser.shows("handover-problem").await;

    arrives(stack, &seller, &format!("Problem reported: {title}"), "mail-problem-reported").await;
    seller.browser.finds_at(&order, "reported-problem").await;
    inspection.page(&seller.browser, "sale-with-a-problem").await;
    let admin = administrator(stack).await;
    admin.browser.visit("/account").await;
    admin.browser.follow("to-problems").await;
    admin.browser.sees(&title).await;
    admin.browser.sees(&seller.email).await;
    inspection.page(&admin.browser, "problems").await;
    inspection.passes();
}

/// A member of the group `admin`, who has signed in since they belong to it.
async fn administrator(stack: &Stack) -> Visitor {
    let admin = member(stack, "admin", Scripts::On).await;
    let users = stack.database("auth").await.collection::<bson::Document>("users");
    let group = doc! { "$set": { "groups": ["admin"] } };
    users.update_one(doc! { "email": &admin.email }, group).await.unwrap();
    let browser = Browser::open(&stack.url()).await;
    browser.visit("/auth/signin").await;
    browser.fill("email", &admin.email).await;
    browser.fill("password", PASSWORD).await;
    browser.press("sign-in").await;
    browser.arrives_at("/").await;
    Visitor { browser, ..admin }
}

/// Waits for a mail in the local mailbox, and photographs it.
async fn arrives(stack: &Stack, to: &Visitor, subject: &str, name: &str) {
    let mailbox = format!("http://127.0.0.1:{}", stack.port("mail"));
    let client = Client::new(&mailbox);
    let id = eventually(subject, || async {
        let list = client.get("/api/mails").await.expect(200);
        let mut mails = list["mails"].as_array().unwrap().iter();
        let is_it = |mail: &&serde_json::Value| {
            mail["subject"] == subject && mail["to"][0] == to.email.as_str()
        };
        mails.find(is_it).map(|mail| mail["id"].to_string())
    })
    .await;
    let reader = Browser::open(&mailbox).await;
    reader.visit(&format!("/api/mails/{id}/html")).await;
    for look in Look::ALL {
        reader.looks(look).await;
        reader.photograph(&screenshots().join(format!("{name}-{}.png", look.name()))).await;
    }
}
