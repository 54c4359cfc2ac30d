//! The gateway: its errors have the services' format, and it exposes only the API and the pages.

use testkit::Method;

use crate::shared;

#[tokio::test]
async fn errors_of_the_gateway_are_problems() {
    let stack = shared::default().await;
    let visitor = stack.visitor();
    visitor.get("/api/nowhere").await.problem(404, "not-found");
    let body = vec![b' '; 3_000_000];
    let post =
        visitor.request(Method::POST, "/api/tickets").header("content-type", "application/json");
    post.body(body).send().await.problem(413, "too-large");
}

/// A browser shows its user what it gets; a program, and a script that calls the API, read it.
#[tokio::test]
async fn errors_of_the_gateway_are_pages_for_browsers() {
    const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let stack = shared::default().await;
    let browser = stack.visitor().header("accept", HTML);
    let cookies = format!("a={}", "x".repeat(9_000));
    let large = |client: &testkit::Client, path: &str| {
        let post = client.request(Method::POST, path).header("content-type", "text/plain");
        post.body(vec![b' '; 3_000_000]).send()
    };
    for (page, status, text) in [
        (browser.header("cookie", &cookies).get("/").await, 431, "Delete this site’s cookies"),
        (large(&browser, "/auth/signin").await, 413, "shorten your text"),
    ] {
        assert_eq!(page.status.as_u16(), status);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(
            page.text.starts_with("<!doctype html>") && page.text.contains(text),
            "{}",
            page.text
        );
        assert!(page.header("x-request-id").is_some() && page.header("vary") == Some("Accept"));
    }
    let program = stack.visitor();
    program.header("cookie", &cookies).get("/").await.problem(431, "headers-too-large");
    browser.header("cookie", &cookies).get("/api/tickets").await.problem(431, "headers-too-large");
    browser.get("/api/nowhere").await.problem(404, "not-found");
    // The address is the first that a client sends: what it accepts isn't known yet.
    browser.get(&format!("/?q={}", "x".repeat(9_000))).await.problem(414, "address-too-long");
    large(&browser, "/api/tickets").await.problem(413, "too-large");
}

#[tokio::test]
async fn the_admin_port_is_not_reachable_through_the_gateway() {
    let stack = shared::default().await;
    for path in ["/healthz", "/readyz", "/metrics", "/api/orders/../metrics"] {
        let status = stack.visitor().get(path).await.status.as_u16();
        assert!(status == 404 || status == 401, "{path}: {status}");
    }
}

#[tokio::test]
async fn a_response_has_its_request_id() {
    let stack = shared::default().await;
    let visitor = stack.visitor().header("x-request-id", "abc-123");
    let response = visitor.get("/api/tickets").await;
    assert_eq!(response.header("x-request-id"), Some("abc-123"));
    assert!(stack.log("tickets").contains("\"request_id\":\"abc-123\""));
}

/// For the API, and for pages, which call the API on behalf of the client.
#[tokio::test]
async fn a_forged_client_ip_is_overwritten_by_the_gateway() {
    let stack = shared::default().await;
    let visitor = stack.visitor().header("x-forwarded-for", "6.6.6.6");
    for (path, id) in [("/api/tickets", "by-the-api"), ("/?q=forged", "by-a-page")] {
        visitor.header("x-request-id", id).get(path).await.expect(200);
        let log = stack.log("tickets");
        let named = |line: &&str| line.contains(&format!("\"request_id\":\"{id}\""));
        let line = log.lines().find(named).unwrap();
        assert!(line.contains("\"client_net\":\"127.0.0.0\""), "{line}");
        assert!(!log.contains("6.6.6.6"));
    }
}
