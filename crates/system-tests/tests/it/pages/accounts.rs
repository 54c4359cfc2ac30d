//! Where a user is signed in, and what administrators do to accounts.

use serde_json::json;
use system_tests::{Page, PlainBrowser, Stack};
use testkit::{Client, eventually};

use super::problems::administrator;
use crate::shared;

async fn signs_in(stack: &Stack, email: &str) -> (PlainBrowser, Page) {
    let browser = stack.browser();
    let form = browser.opens("/auth/signin").await.form("/auth/signin");
    let form = form.with("email", email).with("password", "correct horse");
    let page = browser.sends(&form).await;
    (browser, page)
}

fn is_sign_in(page: &Page) -> bool {
    page.path() == "/auth/signin"
}

#[tokio::test]
async fn a_user_ends_one_session_and_then_all_of_them() {
    let stack = shared::default().await;
    let lost = stack.browser();
    let email = lost.signs_up("Ada").await;
    let (here, _) = signs_in(stack, &email).await;
    let (third, _) = signs_in(stack, &email).await;
    assert!(here.opens("/account").await.has("to-sessions"));
    let page = here.opens("/account/sessions").await;
    page.expect(200);
    assert_eq!(page.texts("[data-test='session']").len(), 2);
    assert_eq!(page.texts("[data-test='this-session']").len(), 1);
    let first_of_others = page.attributes("[data-test='session'] form", "action").remove(1);
    let page = here.sends(&page.form(&first_of_others)).await;
    page.expect_part("notice-session-ended");
    assert_eq!(page.texts("[data-test='session']").len(), 1);
    eventually("the lost one to be signed out", || async {
        is_sign_in(&lost.opens("/account").await).then_some(())
    })
    .await;

    let page = here.sends(&page.form("/account/sessions/end")).await;
    page.expect_part("notice-signed-out-everywhere");
    assert!(is_sign_in(&here.opens("/account").await));
    eventually("the third one to be signed out", || async {
        is_sign_in(&third.opens("/account").await).then_some(())
    })
    .await;
    // As after signing in again: the address of a form leads to the page.
    let (again, _) = signs_in(stack, &email).await;
    assert_eq!(again.opens("/account/sessions/end").await.path(), "/account/sessions");
}

#[tokio::test]
async fn a_user_creates_a_token_uses_it_and_revokes_it() {
    let stack = shared::default().await;
    let browser = stack.browser();
    browser.signs_up("Ada").await;
    assert!(browser.opens("/account").await.has("to-tokens"));
    let page = browser.opens("/account/tokens").await;
    page.expect_part("no-tokens");
    let form = page.form("/account/tokens");
    let page = browser.sends(&form.with("name", "Ledger <b>")).await;
    page.expect(422);
    assert!(page.text("#scopes-error").contains("Choose what"));
    assert_eq!(page.form("/account/tokens").value("name"), Some("Ledger <b>"));

    let form = page.form("/account/tokens").ticked("scopes", "orders:read");
    let page = browser.sends(&form).await;
    page.expect(200);
    let token = page.part("token");
    assert_eq!(page.answer.header("cache-control"), Some("no-store"));
    assert!(page.part("token-row").contains("Ledger <b>"));
    assert!(page.part("token-row").contains("orders:read"));
    let program = Client::new(&stack.url()).bearer(&token);
    let access = program.post("/api/users/tokens/access", json!({})).await.expect(200);
    let access = Client::new(&stack.url()).bearer(access["accessToken"].as_str().unwrap());
    access.get("/api/orders").await.expect(200);

    // It isn't shown again.
    let page = browser.opens("/account/tokens").await;
    assert!(!page.answer.text.contains(&token) && !page.has("token"));
    assert!(page.part("token-row").contains("Last used"));
    let revoke = page.attributes("[data-test='token-row'] form", "action").remove(0);
    let page = browser.sends(&page.form(&revoke)).await;
    page.expect_part("notice-token-revoked");
    page.expect_part("no-tokens");
    program.post("/api/users/tokens/access", json!({})).await.problem(401, "not-signed-in");
    eventually("orders to refuse it", async || {
        (access.get("/api/orders").await.status == 401).then_some(())
    })
    .await;
    assert_eq!(browser.opens(&revoke).await.path(), "/account/tokens");
    assert!(is_sign_in(&stack.browser().opens("/account/tokens").await));
}

#[tokio::test]
async fn an_administrator_bans_a_seller_and_lifts_that() {
    let stack = shared::default().await;
    let seller = stack.browser();
    let email = seller.signs_up("Ada").await;
    let listing = seller.lists("Parsifal", "10").await;
    let buyer = stack.browser();
    buyer.signs_up("Bert").await;
    let order = buyer.buys(&listing).await.path().to_owned();
    let admin = administrator(stack).await;
    assert!(admin.opens("/account").await.has("to-admin"));
    for browser in [&seller, &buyer] {
        browser.opens("/admin").await.expect(403);
        browser.opens("/admin/audit").await.expect(403);
    }
    let nobody = admin.opens("/admin?email=nobody-at-all@example.com").await;
    nobody.expect_part("no-user");
    let search = admin.opens("/admin").await.form("/admin");
    let page = admin.opens(&format!("/admin?email={}", email.replace('+', "%2B"))).await;
    assert_eq!(search.value("email"), Some(""));
    assert_eq!(page.part("user-status"), "Active");
    let ban = page.attributes("[data-test='ban-form']", "action").remove(0);
    let unread = admin.sends(&page.form(&ban).with("reason", " ")).await;
    unread.expect_part("notice-ban-unread");
    let form = page.form(&ban).with("reason", "Sold a seat <twice>");
    let page = admin.sends(&form).await;
    page.expect_part("notice-banned");
    assert_eq!(page.part("user-status"), "Banned: Sold a seat <twice>");
    assert!(page.texts("[data-test='act']").concat().contains("paid orders kept"));

    eventually("the seller to be signed out", || async {
        is_sign_in(&seller.opens("/account").await).then_some(())
    })
    .await;
    let (_, refused) = signs_in(stack, &email).await;
    assert!(refused.main().contains("Sold a seat <twice>"), "{}", refused.main());
    eventually("the listing to be off sale", || async {
        (!admin.opens(&listing).await.has("buy")).then_some(())
    })
    .await;
    eventually("the order to end", || async {
        buyer.opens(&order).await.has("order-suspended").then_some(())
    })
    .await;

    let log = admin.opens("/admin/audit").await;
    assert!(log.texts("[data-test='act']").concat().contains("Sold a seat <twice>"));
    let unban = page.attributes("form[action$='/unban']", "action").remove(0);
    let page = admin.sends(&page.form(&unban)).await;
    page.expect_part("notice-unbanned");
    assert_eq!(page.part("user-status"), "Active");
    let (seller, _) = signs_in(stack, &email).await;
    assert_eq!(seller.opens("/account").await.path(), "/account");
    eventually("the listing to be on sale again", || async {
        admin.opens(&listing).await.has("buy").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_administrator_makes_another_one_and_no_one_changes_themselves() {
    let stack = shared::default().await;
    let user = stack.browser();
    let email = user.signs_up("Ada").await;
    let admin = administrator(stack).await;
    let address = format!("/admin?email={email}");
    for (member, notice) in [("Yes", "notice-admin-added"), ("No", "notice-admin-removed")] {
        let page = admin.opens(&address).await;
        let action = page.attributes("form[action$='/administrator']", "action").remove(0);
        let page = admin.sends(&page.form(&action)).await;
        page.expect_part(notice);
        assert_eq!(page.part("user-admin"), member);
        if member == "Yes" {
            let (other, _) = signs_in(stack, &email).await;
            let own = other.opens(&address).await;
            own.expect_part("found-user");
            assert!(own.attributes("form[action$='/ban']", "action").is_empty());
        }
    }
}
