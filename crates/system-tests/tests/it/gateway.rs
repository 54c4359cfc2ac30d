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
        assert!(line.contains("\"visitor\":\"127.0.0.1\""), "{line}");
        assert!(!log.contains("6.6.6.6"));
    }
}
