//! The door: its own errors have the services' shape, and nothing but the API and the pages is behind it.

use testkit::Method;

use crate::shared;

#[tokio::test]
async fn the_gateway_s_own_errors_have_the_one_shape() {
    let stack = shared::usual().await;
    let visitor = stack.visitor();
    visitor.get("/api/nowhere").await.problem(404, "not-found");
    let body = vec![b' '; 3_000_000];
    let post =
        visitor.request(Method::POST, "/api/tickets").header("content-type", "application/json");
    post.body(body).send().await.problem(413, "too-large");
}

#[tokio::test]
async fn what_operators_see_is_not_behind_the_gateway() {
    let stack = shared::usual().await;
    for path in ["/healthz", "/readyz", "/metrics", "/api/orders/../metrics"] {
        let status = stack.visitor().get(path).await.status.as_u16();
        assert!(status == 404 || status == 401, "{path}: {status}");
    }
}

#[tokio::test]
async fn an_answer_names_its_request() {
    let stack = shared::usual().await;
    let visitor = stack.visitor().header("x-request-id", "abc-123");
    let answer = visitor.get("/api/tickets").await;
    assert_eq!(answer.header("x-request-id"), Some("abc-123"));
    assert!(stack.log("tickets").contains("\"request_id\":\"abc-123\""));
}

/// By the API and by the pages, which ask the API on the visitor's behalf.
#[tokio::test]
async fn a_forged_address_gets_no_further_than_the_gateway() {
    let stack = shared::usual().await;
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
