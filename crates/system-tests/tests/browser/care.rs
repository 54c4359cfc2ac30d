//! Cases that are easily forgotten: no mouse, a changed price, an error in a form.

use system_tests::browser::{Look, Scheme, Screen};

use crate::people::{GOOD_CARD, Visitor, member, title, visitor};
use crate::shared::{Scripts, default_stack};

#[tokio::test]
async fn a_ticket_is_bought_without_a_mouse() {
    let stack = default_stack().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), member(stack, "buyer", Scripts::On));
    let title = title("Arabella");
    let ticket = seller.lists(&title, "20").await;
    let browser = &buyer.browser;
    browser.visit("/").await;
    browser.tabs_to("link", "skip").await;
    browser.types("\n").await;
    browser.tabs_to("field", "q").await;
    browser.types(&format!("{title}\n")).await;
    browser.arrives_at("/?q=Arabella").await;
    browser.tabs_to("link", &title).await;
    browser.types("\n").await;
    browser.arrives_at(&ticket).await;
    browser.tabs_to("button", "buy").await;
    browser.types("\n").await;
    browser.arrives_at("/orders/").await;
    // The first card is preselected.
    browser.tabs_to("field", GOOD_CARD).await;
    browser.tabs_to("button", "pay").await;
    browser.types("\n").await;
    browser.shows("order-paid").await;
}

#[tokio::test]
async fn a_changed_price_is_shown_before_anything_is_ordered() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let (seller, buyer) =
            tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", Scripts::Off));
        let ticket = seller.lists(&title("Daphne"), "20").await;
        buyer.browser.visit(&ticket).await;
        seller.browser.visit(&ticket).await;
        seller.browser.follow("edit").await;
        seller.browser.fill("price", "25").await;
        seller.browser.press("save").await;
        seller.browser.shows("notice-edited").await;
        buyer.browser.sees("$20.00").await;
        buyer.browser.press("buy").await;
        buyer.browser.shows("notice-price-changed").await;
        buyer.browser.sees("$25.00").await;
        buyer.browser.press("buy").await;
        buyer.browser.shows("order-unpaid").await;
    }
}

#[tokio::test]
async fn entries_are_kept_and_errors_are_shown_beside_their_fields() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let seller = member(stack, "seller", scripts).await;
        let browser = &seller.browser;
        browser.visit("/tickets/new").await;
        browser.fill("title", "Capriccio, row 2").await;
        browser.fill("price", "0.10").await;
        browser.pick("date", "2001-01-01T19:30").await;
        browser.pick("time_zone", "Asia/Tokyo").await;
        browser.fill("description", "Two lines\nof text").await;
        browser.press("list-ticket").await;
        browser.shows("form-errors").await;
        for (field, value) in [
            ("title", "Capriccio, row 2"),
            ("price", "0.10"),
            ("date", "2001-01-01T19:30"),
            ("time_zone", "Asia/Tokyo"),
            ("description", "Two lines\nof text"),
        ] {
            assert_eq!(browser.value(field).await, value);
        }
        let errors = "return [...document.querySelectorAll('[aria-invalid]')].map(field => [field.name, document.getElementById(field.getAttribute('aria-describedby').split(' ')[0]).innerText.length > 5])";
        assert_eq!(
            browser.evaluate(errors).await,
            serde_json::json!([["price", true], ["date", true]])
        );
        browser.fill("price", "35").await;
        browser.pick("date", "2041-01-05T19:30").await;
        browser.press("list-ticket").await;
        browser.shows("notice-listed").await;
        browser.sees("19:30").await;
    }
}

#[tokio::test]
async fn a_removed_listing_is_no_longer_found() {
    let stack = default_stack().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let (seller, anybody) =
            tokio::join!(member(stack, "seller", scripts), visitor(stack, "anybody", scripts));
        let title = title("Friedenstag");
        let ticket = seller.lists(&title, "20").await;
        anybody.browser.finds_text_at(&format!("/?q={}", title.replace(' ', "+")), &title).await;
        seller.browser.follow("remove-listing").await;
        seller.browser.press("confirm-remove").await;
        seller.browser.shows("notice-deleted").await;
        anybody.browser.visit(&ticket).await;
        anybody.browser.shows("error-404").await;
        anybody.browser.finds_at(&format!("/?q={}", title.replace(' ', "+")), "no-matches").await;
    }
}

#[tokio::test]
async fn long_words_break_instead_of_being_cut_off_or_widening_the_page() {
    let stack = default_stack().await;
    let long = "long".repeat(6);
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), visitor(stack, &long, Scripts::On));
    let buyer = Visitor { name: "Wolfeschlegelstein".repeat(5), ..buyer };
    buyer.browser.visit("/auth/signup").await;
    buyer.signs_up().await;
    let buyer = &buyer.browser;
    buyer.arrives_at("/").await;
    let url = format!("https://example.com/{}", "seat".repeat(40));
    let browser = &seller.browser;
    browser.visit("/tickets/new").await;
    let own_zone = "return Intl.DateTimeFormat().resolvedOptions().timeZone";
    assert_eq!(browser.evaluate(own_zone).await, browser.value("time_zone").await.as_str());
    for (field, text) in [
        ("title", &*url),
        ("price", "20"),
        ("venue", "Donaudampfschifffahrtsmuseum-Sonderausstellung Regensburg"),
        ("description", &url),
    ] {
        browser.fill(field, text).await;
    }
    browser.press("list-ticket").await;
    browser.shows("notice-listed").await;
    let ticket = browser.path().await;
    let ticket = ticket.split('?').next().unwrap();
    buyer.visit(ticket).await;
    buyer.press("buy").await;
    buyer.shows("order-unpaid").await;
    let order = buyer.path().await;
    buyer.press("pay").await;
    buyer.shows("receipt").await;

    // What is hidden for all but screen readers is clipped on purpose, as are the notches of a ticket; its body isn't. A field scrolls
    // what it contains.
    let cut_off = "return [...document.querySelectorAll('main *')].filter(element => \
        element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1 && \
        (getComputedStyle(element).overflowX !== 'visible' || element.matches('.big-body')) && \
        !element.matches('.big') && !element.closest('.unseen, select, input')) \
        .map(element => element.outerHTML.slice(0, 100))";
    let phone = Look { screen: Screen::Phone, scheme: Scheme::Light };
    for (browser, pages) in
        [(buyer, [ticket, &*order, "/account", "/"]), (browser, [ticket, &*order, "/sales", "/"])]
    {
        browser.looks(phone).await;
        for page in pages {
            browser.visit(page).await;
            assert_eq!(browser.overflow().await, 0, "{page} is wider than the screen");
            assert_eq!(browser.evaluate(cut_off).await, serde_json::json!([]), "{page}");
        }
    }
}
