//! Sessions are renewed automatically.

use system_tests::PlainBrowser;
use testkit::Client;

use crate::shared;

/// The refresh token of a new user.
async fn refresh_token() -> String {
    let browser = shared::default().await.browser();
    let form = browser.opens("/auth/signup").await.form("/auth/signup");
    let email = format!("ada-{}@example.com", uuid::Uuid::now_v7());
    let answer = browser.posts(&form.with("email", &email).with("password", "correct horse")).await;
    answer.cookie("refresh").unwrap().to_owned()
}

#[tokio::test]
async fn a_person_who_was_away_for_long_is_still_signed_in() {
    let stack = shared::default().await;
    let away = Client::new(&stack.url()).cookie("refresh", &refresh_token().await);
    let answer = away.get("/account").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let session = answer.set_cookie("session").unwrap();
    assert!(session.contains("HttpOnly") && session.contains("SameSite=Lax"), "{session}");
    assert!(answer.set_cookie("refresh").is_some());
}

#[tokio::test]
async fn a_form_that_was_left_open_for_long_is_still_taken() {
    let stack = shared::default().await;
    let away = Client::new(&stack.url()).cookie("refresh", &refresh_token().await);
    let post = away.request(testkit::Method::POST, "/tickets/new");
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body("title=Late&price=5&key=0123456789&time_zone=UTC").send().await;
    assert!(answer.header("location").unwrap().starts_with("/tickets/0"), "{:?}", answer.headers);
    assert!(answer.set_cookie("session").is_some());
}

#[tokio::test]
async fn two_pages_that_are_opened_at_once_both_go_on() {
    let stack = shared::default().await;
    let away = Client::new(&stack.url()).cookie("refresh", &refresh_token().await);
    let (one, other) = tokio::join!(away.get("/orders"), away.get("/account"));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));
    assert_eq!(one.cookie("refresh"), other.cookie("refresh"));
}

#[tokio::test]
async fn a_session_that_has_ended_leaves_no_cookies_behind() {
    let stack = shared::default().await;
    let client = Client::new(&stack.url());
    for token in ["rubbish", &revoked(stack).await] {
        let answer = client.cookie("refresh", token).get("/").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.cookie("refresh"), Some(""), "{:?}", answer.headers);
        assert!(answer.set_cookie("refresh").unwrap().contains("Max-Age=0"));
    }
}

async fn revoked(stack: &system_tests::Stack) -> String {
    let token = refresh_token().await;
    let client = Client::new(&stack.url()).cookie("refresh", &token);
    client.post("/api/users/signout", serde_json::json!({})).await.expect(200);
    token
}

#[tokio::test]
async fn the_links_to_sign_in_lead_back() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    for (address, next) in [
        ("/", ""),
        ("/?q=aida", "?next=%2F%3Fq%3Daida"),
        ("/?notice=signed-out", ""),
        ("/nowhere", "?next=%2Fnowhere"),
        ("/auth/signin?next=%2Fsales", "?next=%2Fsales"),
    ] {
        let page = visitor.opens(address).await;
        for (name, path) in [("nav-sign-in", "/auth/signin"), ("nav-sign-up", "/auth/signup")] {
            let links = page.attributes(&format!("[data-test='{name}']"), "href");
            assert_eq!(links, [format!("{path}{next}")], "{address}");
        }
    }
    let form = visitor.opens("/auth/signin?next=/sales").await.form("/auth/signin");
    let page = visitor.sends(&form.with("email", "nobody")).await;
    page.expect(422);
    let links = page.attributes("[data-test='nav-sign-up']", "href");
    assert_eq!(links, ["/auth/signup?next=%2Fsales"]);
}

#[tokio::test]
async fn a_browser_without_cookies_is_told_what_signing_in_needs() {
    let stack = shared::default().await;
    let email = stack.browser().signs_up("Ada").await;
    let without_cookies = PlainBrowser { client: Client::new(&stack.url()) };
    let form = without_cookies.opens("/auth/signin?next=/sales").await.form("/auth/signin");
    let form = form.with("email", &email).with("password", "correct horse");
    let page = without_cookies.sends(&form).await;
    page.expect(200).expect_part("form-errors");
    assert_eq!(page.form("/auth/signin").value("next"), Some("/sales"));
    // A browser that accepts them, but was first seen here.
    let with_cookies = stack.browser();
    let page = with_cookies.sends(&form).await;
    assert_eq!(page.expect(200).address, "/sales");
}
