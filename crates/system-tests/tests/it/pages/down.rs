//! One service is down: the pages that need it say so, the others work, and forms keep their entries.

use crate::shared;

/// An address without a server.
const UNREACHABLE: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn without_orders_tickets_are_still_found_and_buying_says_what_is_wrong() {
    let stack = shared::default().await;
    let web = stack.other_web(&[("ORDERS_URL", UNREACHABLE)]).await;
    let (seller, buyer) = (web.browser(), web.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Parsifal", "10").await;
    buyer.opens("/").await.expect(200);
    let page = buyer.buys(&ticket).await;
    assert_eq!(page.path(), ticket);
    page.expect_part("notice-orders-down");
    let page = buyer.opens("/orders").await;
    page.expect(503);
    page.expect_part("error-503");
    assert_eq!(page.attributes("main a", "href").first().map(String::as_str), Some("/orders"));
    assert_eq!(page.answer.header("retry-after"), Some("1"));
    let page = seller.opens("/sales").await;
    page.expect(200);
    page.expect_part("orders-down");
    assert!(page.main().contains("Parsifal"), "{}", page.main());
}

#[tokio::test]
async fn without_payments_an_order_is_still_shown() {
    let stack = shared::default().await;
    let web = stack.other_web(&[("PAYMENTS_URL", UNREACHABLE)]).await;
    let (seller, buyer) = (web.browser(), web.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Lohengrin", "10").await;
    let page = buyer.buys(&ticket).await;
    page.expect(200);
    assert!(page.main().contains("Lohengrin"), "{}", page.main());
    page.expect_part("order-unknown");
    let order = page.path().to_owned();
    let post = buyer.client.request(testkit::Method::POST, &format!("{order}/pay"));
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body("key=0123456789&token=tok_visa").send().await;
    assert_eq!(answer.header("location"), Some(&*order));
    assert_eq!(answer.cookie("flash"), Some("payments-down"));
    let page = buyer.sends(&page.form(&format!("{order}/cancel"))).await;
    page.expect_part("order-cancelled").expect_part("money-unknown");
}

#[tokio::test]
async fn without_tickets_a_form_keeps_what_was_typed() {
    let stack = shared::default().await;
    let web = stack.other_web(&[("TICKETS_URL", UNREACHABLE)]).await;
    let seller = web.browser();
    let form = seller.opens("/auth/signup").await.form("/auth/signup").with("next", "/account");
    let email = format!("ada-{}@example.com", uuid::Uuid::now_v7());
    let page = seller.sends(&form.with("email", &email).with("password", "correct horse")).await;
    page.expect(200);
    seller.opens("/").await.expect(503);
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let typed = form.with("title", "Siegfried").with("price", "10");
    let page = seller.sends(&typed).await;
    page.expect(503);
    page.expect_part("form-errors");
    let kept = page.form("/tickets/new");
    assert_eq!(kept.value("title"), Some("Siegfried"));
    assert_eq!(kept.value("key"), typed.value("key"), "submitted again, it is the same request");
    seller.opens("/orders").await.expect(200);
}

#[tokio::test]
async fn without_auth_who_is_signed_in_stays_so() {
    let stack = shared::default().await;
    let person = stack.browser();
    let form = person.opens("/auth/signup").await.form("/auth/signup");
    let email = format!("ada-{}@example.com", uuid::Uuid::now_v7());
    let answer = person.posts(&form.with("email", &email).with("password", "correct horse")).await;
    let (session, refresh) = (answer.cookie("session").unwrap(), answer.cookie("refresh").unwrap());

    let web = stack.other_web(&[("AUTH_URL", UNREACHABLE)]).await;
    let client = testkit::Client::new(&web.url).cookie("refresh", refresh);
    client.cookie("session", session).get("/orders").await.expect(200);
    // With an expired session nobody is redirected to sign-in, which wouldn't work.
    let answer = client.get("/orders").await;
    assert_eq!(answer.status, 503);
    assert!(answer.set_cookie("refresh").is_none(), "the session is kept");
    assert_eq!(client.get("/").await.status, 200);
}
