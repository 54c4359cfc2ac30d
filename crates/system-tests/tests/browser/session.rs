//! Sessions: signing in and out, and automatic renewal.

use crate::inspection::Inspection;
use crate::people::{GOOD_CARD, PASSWORD, member, title, visitor};
use crate::shared::{Scripts, default_stack};

#[tokio::test]
async fn signing_in_returns_to_the_requested_page() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let person = member(stack, "person", scripts).await;
        person.browser.visit("/account").await;
        person.browser.sees(&person.email).await;
        person.browser.follow("sign-out").await;
        person.browser.press("sign-out").await;
        person.browser.shows("notice-signed-out").await;

        person.browser.visit("/orders?status=complete").await;
        person.browser.arrives_at("/auth/signin?next=").await;
        person.browser.fill("email", &person.email).await;
        person.browser.fill("password", "not the password").await;
        person.browser.press("sign-in").await;
        person.browser.shows("form-errors").await;
        assert_eq!(person.browser.value("email").await, person.email);
        person.browser.fill("password", PASSWORD).await;
        person.browser.press("sign-in").await;
        person.browser.arrives_at("/orders?status=complete").await;
    }
}

#[tokio::test]
async fn a_session_that_ends_during_a_purchase_is_renewed_automatically() {
    let stack = default_stack().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), member(stack, "buyer", Scripts::On));
    let ticket = seller.lists(&title("Idomeneo"), "20").await;
    buyer.browser.visit(&ticket).await;
    // As after fifteen minutes, when the cookie has expired.
    buyer.browser.loses_cookie("session").await;
    buyer.browser.press("buy").await;
    buyer.browser.shows("order-unpaid").await;
    buyer.browser.loses_cookie("session").await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.shows("order-paid").await;
}

#[tokio::test]
async fn a_lost_device_is_signed_out_and_then_all_of_them() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let lost = member(stack, "person", scripts).await;
        let here = visitor(stack, "person", scripts).await;
        here.browser.visit("/account/sessions").await;
        here.browser.fill("email", &lost.email).await;
        here.browser.fill("password", PASSWORD).await;
        here.browser.press("sign-in").await;
        here.browser.shows("this-session").await;
        let mut inspection = Inspection::default();
        if let Scripts::On = scripts {
            inspection.page(&here.browser, "sessions").await;
        }
        here.browser.press("end-session").await;
        here.browser.shows("notice-session-ended").await;
        lost.browser.visit("/account").await;
        lost.browser.arrives_at("/auth/signin").await;
        here.browser.visit("/account/sessions").await;
        here.browser.press("sign-out-everywhere").await;
        here.browser.shows("notice-signed-out-everywhere").await;
        here.browser.visit("/account").await;
        here.browser.arrives_at("/auth/signin").await;
        inspection.passes();
    }
}

#[tokio::test]
async fn a_token_for_a_program_is_created_shown_once_and_revoked() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = default_stack().await;
        let kim = member(stack, "person", scripts).await;
        let browser = &kim.browser;
        let mut inspection = Inspection::default();
        browser.visit("/account").await;
        browser.follow("to-tokens").await;
        browser.shows("no-tokens").await;
        browser.fill("name", "Ledger").await;
        browser.press("create-token").await;
        browser.shows("form-errors").await;
        if let Scripts::On = scripts {
            inspection.page(browser, "tokens-refused").await;
        }
        browser.choose("orders:read").await;
        browser.press("create-token").await;
        browser.shows("new-token").await;
        browser.shows("token-row").await;
        if let Scripts::On = scripts {
            inspection.page(browser, "tokens").await;
        }
        browser.visit("/account/tokens").await;
        browser.shows("token-row").await;
        browser.no_longer_shows("new-token").await;
        browser.press("revoke-token").await;
        browser.shows("notice-token-revoked").await;
        browser.shows("no-tokens").await;
        inspection.passes();
    }
}
