//! What users do with their own account: confirm its address, change it, and get back into it. Without scripts.

use system_tests::{Page, PlainBrowser, Stack, link_in};
use testkit::eventually;

use crate::shared;

const PASSWORD: &str = "correct horse";
const NEW_PASSWORD: &str = "battery staple";
const WELCOME: &str = "Welcome to Ticketing";
const RECOVERY: &str = "Choose a new password";

async fn signs_in(stack: &Stack, email: &str, password: &str) -> (PlainBrowser, Page) {
    let browser = stack.browser();
    let form = browser.opens("/auth/signin").await.form("/auth/signin");
    let page = browser.sends(&form.with("email", email).with("password", password)).await;
    (browser, page)
}

async fn asks_for_recovery(browser: &PlainBrowser, email: &str) -> Page {
    let form = browser.opens("/recover").await.form("/recover").with("email", email);
    browser.sends(&form).await
}

/// Sells and buys only once the address is confirmed, and then at once.
#[tokio::test]
async fn a_user_confirms_the_address_and_then_buys_and_sells() {
    let stack = shared::with_verified_emails().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    let email = seller.signs_up("Ada").await;
    let listing = seller.opens("/tickets/new").await.form("/tickets/new");
    let listing = listing.with("title", "Norma").with("price", "20").with("venue", "Opera");
    let refused = seller.sends(&listing).await;
    refused.expect(403).expect_part("form-errors");
    assert_eq!(refused.form("/tickets/new").value("title"), Some("Norma"));
    assert_eq!(
        refused.attributes("[data-test='error-link']", "href"),
        ["/account", "#form-errors"][..1]
    );
    let account = seller.opens("/account").await;
    account.expect_part("unverified");
    let page = seller.sends(&account.form("/account/verification")).await;
    page.expect_part("notice-verification-too-soon");

    let link = link_in(&stack.mail(&email, WELCOME, 1).await, "/verify");
    // As a program that scans mails does, twice.
    for _ in 0..2 {
        stack.browser().opens(&link).await.expect(200).expect_part("confirm-email");
    }
    assert!(seller.opens("/account").await.has("unverified"));
    let page = seller.opens(&link).await;
    let page = seller.sends(&page.form("/verify")).await;
    page.expect_part("notice-email-confirmed");
    page.expect_part("verified");
    let ticket = seller.sends(&refused.form("/tickets/new")).await;
    ticket.expect_part("notice-listed");
    let page = seller.opens(&link).await;
    let page = seller.sends(&page.form("/verify")).await;
    page.expect(409).expect_part("form-errors");

    // Confirmed by another device, such as a phone.
    let email = buyer.signs_up("Bert").await;
    let page = buyer.buys(ticket.path()).await;
    page.expect_part("notice-verify-to-buy");
    let link = link_in(&stack.mail(&email, WELCOME, 1).await, "/verify");
    let phone = stack.browser();
    let page = phone.opens(&link).await;
    let page = phone.sends(&page.form("/verify")).await;
    page.expect_part("notice-email-confirmed");
    assert_eq!(page.path(), "/auth/signin");
    buyer.opens("/account").await.expect_part("notice-email-confirmed");
    let order = buyer.buys(ticket.path()).await;
    assert!(order.path().starts_with("/orders/"), "{}", order.address);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_and_the_answer_says_nothing_of_the_address() {
    let stack = shared::default().await;
    let lost = stack.browser();
    let email = lost.signs_up("Ada").await;
    let browser = stack.browser();
    let page = browser.opens("/auth/signin").await;
    assert_eq!(page.attributes("[data-test='forgot-password']", "href"), ["/recover"]);
    let known = asks_for_recovery(&browser, &email).await;
    let unknown = asks_for_recovery(&browser, "nobody-at-all@example.com").await;
    known.expect_part("notice-recovery-sent");
    assert_eq!(known.main(), unknown.main());
    let refused = asks_for_recovery(&browser, "nobody").await;
    refused.expect(422).expect_part("form-errors");

    let link = link_in(&stack.mail(&email, RECOVERY, 1).await, "/recover/new");
    let page = browser.opens(&link).await;
    let weak = browser.sends(&page.form("/recover/new").with("password", "short")).await;
    weak.expect(422).expect_part("form-errors");
    let form = weak.form("/recover/new").with("password", NEW_PASSWORD);
    let page = browser.sends(&form).await;
    page.expect_part("notice-password-replaced");
    assert_eq!(page.path(), "/account");
    eventually("the other session to end", || async {
        (lost.opens("/account").await.path() == "/auth/signin").then_some(())
    })
    .await;
    let page = browser.sends(&form).await;
    page.expect(409).expect_part("form-errors");
    let (_, page) = signs_in(stack, &email, PASSWORD).await;
    page.expect(422);
    let (_, page) = signs_in(stack, &email, NEW_PASSWORD).await;
    assert_eq!(page.path(), "/");
    stack.mail(&email, "Your password was changed", 1).await;
}

#[tokio::test]
async fn a_profile_a_password_and_an_address_are_changed() {
    let stack = shared::default().await;
    let browser = stack.browser();
    let email = browser.signs_up("Ada").await;
    let (other, _) = signs_in(stack, &email, PASSWORD).await;
    let form = browser.opens("/account").await.form("/account");
    let form = form.with("name", "Ada Lovelace").with("phone", "call me");
    let refused = browser.sends(&form).await;
    refused.expect(422).expect_part("form-errors");
    let form = refused.form("/account");
    assert_eq!(form.value("name"), Some("Ada Lovelace"));
    let page = browser.sends(&form.with("phone", "+420 777 123 456")).await;
    page.expect_part("notice-profile-saved");
    assert_eq!(page.form("/account").value("phone"), Some("+420 777 123 456"));

    let form = browser.opens("/account/password").await.form("/account/password");
    let wrong = form.clone().with("current_password", "wrong").with("password", NEW_PASSWORD);
    browser.sends(&wrong).await.expect(422).expect_part("form-errors");
    let form = form.with("current_password", PASSWORD).with("password", NEW_PASSWORD);
    browser.sends(&form).await.expect_part("notice-password-changed");
    eventually("the other session to end", || async {
        (other.opens("/account").await.path() == "/auth/signin").then_some(())
    })
    .await;

    let new = format!("new-{email}");
    let form = browser.opens("/account/email").await.form("/account/email");
    let form = form.with("email", &new).with("current_password", NEW_PASSWORD);
    let page = browser.sends(&form).await;
    page.expect_part("notice-email-requested");
    assert!(page.part("pending-email").contains(&new));
    let notice = stack.mail(&email, "Your email address is about to change", 1).await;
    assert!(notice.contains(&new));
    let link = link_in(&stack.mail(&new, "Confirm your new email address", 1).await, "/verify");
    let page = browser.opens(&link).await;
    let page = browser.sends(&page.form("/verify")).await;
    page.expect_part("notice-email-confirmed");
    assert!(page.main().contains(&new) && page.has("verified"), "{}", page.main());
    let (_, page) = signs_in(stack, &new, NEW_PASSWORD).await;
    assert_eq!(page.path(), "/");
}

#[tokio::test]
async fn the_owner_of_an_address_closes_an_account_that_they_have_not_opened() {
    let stack = shared::default().await;
    let stranger = stack.browser();
    let email = stranger.signs_up("Mallory").await;
    let ticket = stranger.lists("Macbeth", "10").await;
    let link = link_in(&stack.mail(&email, WELCOME, 1).await, "/disown");
    let owner = stack.browser();
    let page = owner.opens(&link).await;
    assert!(stranger.opens("/account").await.has("account"), "opening it changes nothing");
    let form = page.form("/disown");
    let page = owner.sends(&form).await;
    page.expect_part("notice-disowned");
    assert_eq!(page.path(), "/");
    eventually("the stranger to be signed out", || async {
        (stranger.opens("/account").await.path() == "/auth/signin").then_some(())
    })
    .await;
    let visitor = stack.browser();
    visitor.signs_up("Bert").await;
    eventually("the listing to be off sale", || async {
        (!visitor.opens(&ticket).await.has("buy")).then_some(())
    })
    .await;
    owner.sends(&form).await.expect(409).expect_part("form-errors");
    // The address is its owner's.
    let form = owner.opens("/auth/signup").await.form("/auth/signup");
    owner.sends(&form.with("email", &email).with("password", PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn the_pages_of_links_are_kept_and_named_nowhere() {
    let stack = shared::default().await;
    let browser = stack.browser();
    for address in ["/verify?code=secret", "/recover/new?code=secret", "/disown?code=secret"] {
        let page = browser.opens(address).await;
        page.expect(200);
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-robots-tag", "noindex"),
        ] {
            assert_eq!(page.answer.header(name), Some(value), "{address}");
        }
        assert_eq!(page.attributes("meta[name='robots']", "content"), ["noindex"]);
        // In its form alone, which is sent, and in no link.
        assert_eq!(page.answer.text.matches("secret").count(), 1, "{address}");
        let form = page.form(address.split('?').next().unwrap());
        assert_eq!(form.value("code"), Some("secret"));
        let form = if form.value("password").is_some() {
            form.with("password", NEW_PASSWORD)
        } else {
            form
        };
        let refused = browser.sends(&form).await;
        refused.expect(409).expect_part("form-errors");
        assert_eq!(refused.answer.header("referrer-policy"), Some("no-referrer"));
        browser.opens(address.split('?').next().unwrap()).await.expect(200);
    }
    let log = stack.log("nginx");
    assert!(log.contains("\"GET /verify HTTP/1.1\"") && !log.contains("secret"), "{log}");
}

#[tokio::test]
async fn password_managers_find_their_fields_and_the_page_to_change_a_password() {
    let stack = shared::default().await;
    let browser = stack.browser();
    let response = browser.client.get("/.well-known/change-password").await;
    response.expect(302);
    assert_eq!(response.header("location"), Some("/account/password"));
    let anonymous = browser.opens("/.well-known/change-password").await;
    assert_eq!(anonymous.path(), "/auth/signin");
    browser.signs_up("Ada").await;
    for (address, fields) in [
        ("/account/password", ["username", "current-password", "new-password"].as_slice()),
        ("/account/email", &["email", "current-password"]),
        ("/recover", &["username"]),
        ("/recover/new", &["new-password"]),
        ("/account", &["name", "tel"]),
    ] {
        let page = browser.opens(address).await;
        assert_eq!(
            page.attributes("main input[autocomplete]", "autocomplete"),
            fields,
            "{address}"
        );
    }
    let sign_up = stack.browser().opens("/auth/signup").await;
    let fields = sign_up.attributes("main input[autocomplete]", "autocomplete");
    assert_eq!(fields, ["username", "new-password", "name"]);
}
