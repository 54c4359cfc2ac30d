//! Error pages: in the same layout, with links to go on.

use testkit::Method;

use crate::shared;

#[tokio::test]
async fn what_is_not_there_is_a_page_with_a_way_on() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    visitor.signs_up("Ada").await;
    for address in
        ["/nowhere", "/tickets/1", "/tickets/01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b", "/orders/x"]
    {
        let page = visitor.opens(address).await;
        page.expect(404);
        page.expect_part("error-404");
        assert!(page.attributes("main a", "href").contains(&"/".to_owned()), "{address}");
        page.expect_part("nav-account");
    }
}

#[tokio::test]
async fn what_is_someone_else_s_is_403_with_a_page() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    other.signs_up("Carl").await;
    let ticket = seller.lists("Tannhäuser", "10").await;
    let edit = other.opens(&format!("{ticket}/edit")).await;
    edit.expect(403);
    edit.expect_part("error-403");
    other.opens(&format!("{ticket}/delete")).await.expect(403);
    let order = buyer.buys(&ticket).await.path().to_owned();
    other.opens(&order).await.expect(403);
    other.opens(&format!("{order}/refund")).await.expect(403);
    // The service refuses too.
    for (path, body) in [
        (format!("{ticket}/edit"), "title=x&price=1&version=1"),
        (format!("{ticket}/delete"), "version=1"),
        (format!("{order}/cancel"), ""),
        (format!("{order}/pay"), "key=0123456789&token=tok_visa"),
    ] {
        let post = other.client.request(Method::POST, &path);
        let post = post.header("content-type", "application/x-www-form-urlencoded").body(body);
        assert_eq!(post.send().await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn other_methods_and_too_long_forms_are_refused_with_a_page() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    let answer = visitor.client.request(Method::DELETE, "/").send().await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.media_type(), Some("text/html"));
    assert!(answer.header("allow").unwrap().contains("GET"));
    let post = visitor.client.request(Method::POST, "/auth/signin");
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body(format!("email={}", "x".repeat(100_000))).send().await;
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("error-413"), "{}", answer.text);
    let post = visitor.client.request(Method::POST, "/auth/signout").body("");
    assert_eq!(post.send().await.status, 303, "a form without fields");
}

#[tokio::test]
async fn a_page_for_those_who_are_signed_in_sends_the_others_there_and_back() {
    let stack = shared::default().await;
    for address in ["/orders", "/sales", "/account", "/tickets/new", "/orders?cursor=a%26b"] {
        let page = stack.browser().opens(address).await;
        let form = page.expect(200).form("/auth/signin");
        assert_eq!(form.value("next"), Some(address));
    }
}
