//! What is easily forgotten: no mouse, a price that changed in between, a slip in a form.

use crate::people::{GOOD_CARD, member, title, visitor};
use crate::shared::{Scripts, usual};

#[tokio::test]
async fn a_ticket_is_bought_without_a_mouse() {
    let stack = usual().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), member(stack, "buyer", Scripts::On));
    let title = title("Arabella");
    let ticket = seller.lists(&title, "20").await;
    let browser = &buyer.browser;
    browser.visit("/").await;
    browser.tabs_to("link", "Skip to content").await;
    browser.types("\n").await;
    browser.tabs_to("field", "Search").await;
    browser.types(&format!("{title}\n")).await;
    browser.arrives_at("/?q=Arabella").await;
    browser.tabs_to("link", &title).await;
    browser.types("\n").await;
    browser.arrives_at(&ticket).await;
    browser.tabs_to("button", "Buy").await;
    browser.types("\n").await;
    browser.arrives_at("/orders/").await;
    // The first card is chosen already.
    browser.tabs_to("field", GOOD_CARD).await;
    browser.tabs_to("button", "Pay").await;
    browser.types("\n").await;
    browser.sees("It is yours").await;
}

#[tokio::test]
async fn a_price_that_changed_in_between_is_said_before_anything_is_ordered() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = usual().await;
        let (seller, buyer) =
            tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", Scripts::Off));
        let ticket = seller.lists(&title("Daphne"), "20").await;
        buyer.browser.visit(&ticket).await;
        seller.browser.visit(&ticket).await;
        seller.browser.follow("Edit").await;
        seller.browser.fill("Price", "25").await;
        seller.browser.press("Save").await;
        seller.browser.sees("Your changes are saved").await;
        buyer.browser.press("Buy for $20.00").await;
        buyer.browser.sees("The price has changed since you looked").await;
        buyer.browser.press("Buy for $25.00").await;
        buyer.browser.sees("Held for you until").await;
    }
}

#[tokio::test]
async fn what_was_typed_is_kept_and_each_slip_is_told_beside_its_field() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = usual().await;
        let seller = member(stack, "seller", scripts).await;
        let browser = &seller.browser;
        browser.visit("/tickets/new").await;
        browser.fill("Title", "Capriccio, row 2").await;
        browser.fill("Price", "0.10").await;
        browser.pick("Date and time", "2001-01-01T19:30").await;
        browser.pick("Time zone", "Asia/Tokyo").await;
        browser.fill("Description", "Two lines\nof text").await;
        browser.press("Put it on sale").await;
        browser.sees("Something is not right yet").await;
        for (field, value) in [
            ("Title", "Capriccio, row 2"),
            ("Price", "0.10"),
            ("Date and time", "2001-01-01T19:30"),
            ("Time zone", "Asia/Tokyo"),
            ("Description", "Two lines\nof text"),
        ] {
            assert_eq!(browser.value(field).await, value);
        }
        let told = "return [...document.querySelectorAll('[aria-invalid]')].map(field => [field.name, document.getElementById(field.getAttribute('aria-describedby').split(' ')[0]).innerText.length > 5])";
        assert_eq!(
            browser.evaluate(told).await,
            serde_json::json!([["price", true], ["date", true]])
        );
        browser.fill("Price", "35").await;
        browser.pick("Date and time", "2041-01-05T19:30").await;
        browser.press("Put it on sale").await;
        browser.sees("Your ticket is on sale").await;
        browser.sees("19:30").await;
    }
}

#[tokio::test]
async fn what_is_taken_off_the_market_is_found_no_more() {
    let stack = usual().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let (seller, anybody) =
            tokio::join!(member(stack, "seller", scripts), visitor(stack, "anybody", scripts));
        let title = title("Friedenstag");
        let ticket = seller.lists(&title, "20").await;
        anybody.browser.finds_at(&format!("/?q={}", title.replace(' ', "+")), &title).await;
        seller.browser.follow("Take it off the market").await;
        seller.browser.press("Take it off").await;
        seller.browser.sees("off the market").await;
        anybody.browser.visit(&ticket).await;
        anybody.browser.sees("There is nothing here").await;
        anybody
            .browser
            .finds_at(&format!("/?q={}", title.replace(' ', "+")), "Nothing like that is on sale")
            .await;
    }
}
