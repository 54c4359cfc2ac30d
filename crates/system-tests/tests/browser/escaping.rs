//! Users' content is shown as text everywhere.

use system_tests::Browser;

use crate::people::{DECLINED_CARD, GOOD_CARD, title, visitor};
use crate::shared::{Scripts, default_stack};

/// If it ran, it would open a dialog, and the next step of the test would fail.
const SCRIPT: &str = "</script><script>alert(1)</script>";
const HANDLER: &str = "\"><img src=x onerror=alert(1)>'{{7*7}}";

#[tokio::test]
async fn a_script_as_a_title_is_shown_as_text_everywhere() {
    let stack = default_stack().await;
    let (mut seller, mut buyer, anyone) = tokio::join!(
        visitor(stack, "seller", Scripts::On),
        visitor(stack, "buyer", Scripts::On),
        visitor(stack, "anyone", Scripts::On)
    );
    for person in [&mut seller, &mut buyer] {
        person.name = format!("{} {HANDLER}{SCRIPT}", person.name);
        person.browser.visit("/auth/signup").await;
        person.signs_up().await;
        person.browser.visit("/account").await;
        shows(&person.browser, &person.name).await;
    }

    let title = format!("{} {SCRIPT}{HANDLER}", title("Script"));
    let browser = &seller.browser;
    browser.visit("/tickets/new").await;
    browser.fill("title", &title).await;
    browser.fill("price", HANDLER).await;
    browser.fill("venue", SCRIPT).await;
    browser.fill("description", &format!("{SCRIPT}</textarea>{HANDLER}")).await;
    browser.press("list-ticket").await;
    // Its price is refused, and all entries are kept.
    browser.shows("form-errors").await;
    for (field, typed) in [("title", &*title), ("price", HANDLER), ("venue", SCRIPT)] {
        assert_eq!(browser.value(field).await, typed);
    }
    browser.fill("price", "20").await;
    browser.press("list-ticket").await;
    browser.shows("notice-listed").await;
    let ticket = seller.path_of_page().await;
    shows(browser, &title).await;
    shows(browser, &format!("{SCRIPT}</textarea>{HANDLER}")).await;
    for page in ["edit", "delete"] {
        browser.visit(&format!("{ticket}/{page}")).await;
        is_inert(browser).await;
    }
    browser.visit(&format!("/tickets/new?like={}", ticket.trim_start_matches("/tickets/"))).await;
    assert_eq!(browser.value("title").await, title);

    let anyone = &anyone.browser;
    anyone.visit("/").await;
    anyone.fill("q", &title).await;
    anyone.press("search").await;
    shows(anyone, &title).await;
    assert_eq!(anyone.value("q").await, title);
    anyone.follow(&title).await;
    shows(anyone, &title).await;
    let name = "return JSON.parse(document.querySelector('script[type=\"application/ld+json\"]').text).name";
    assert_eq!(anyone.evaluate(name).await, title);
    for address in [
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E&min_price=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/auth/signin?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/auth/signin?next=javascript:alert(1)",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/?notice=%3Cscript%3Ealert(1)%3C/script%3E",
        "/tickets/%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        anyone.visit(address).await;
        is_inert(anyone).await;
    }

    let order = buyer.reserves(&ticket).await;
    let browser = &buyer.browser;
    shows(browser, &title).await;
    buyer.pays_with(DECLINED_CARD).await;
    browser.shows("declined").await;
    for page in ["/", "/orders", &order] {
        browser.visit(page).await;
        shows(browser, &title).await;
    }
    buyer.pays_with(GOOD_CARD).await;
    browser.shows("order-paid").await;
    shows(browser, &seller.name).await;

    let browser = &seller.browser;
    browser.visit("/sales").await;
    shows(browser, &title).await;
    browser.follow("view-sale").await;
    shows(browser, &buyer.name).await;
    shows(browser, &title).await;
    browser.follow("refund").await;
    shows(browser, &title).await;
}

/// Shows the text exactly as typed.
async fn shows(browser: &Browser, text: &str) {
    browser.sees(text).await;
    is_inert(browser).await;
}

/// The page has no scripts or handlers but those of its template.
async fn is_inert(browser: &Browser) {
    let foreign = "
        const own = script => script.src.startsWith(location.origin + '/assets/') || script.type === 'application/ld+json';
        return [...document.scripts].filter(script => !own(script)).length + document.querySelectorAll('img[src=x], [onerror]').length";
    assert_eq!(browser.evaluate(foreign).await, 0, "on {}", browser.path().await);
    browser.has_clean_console().await;
}
