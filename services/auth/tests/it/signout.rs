use serde_json::json;

use super::*;

const PATH: &str = "/api/users/signout";

#[tokio::test]
async fn signing_out_clears_the_cookies_and_ends_the_session() {
    let auth = World::start().await;
    let browser = auth.service.browser();
    let body = credentials("kim@example.org");
    let refresh = cookie(&browser.post("/api/users/signup", body).await, "refresh");
    let current = browser.get("/api/users/currentuser").await.expect(200);
    assert_eq!(current["currentUser"]["email"], "kim@example.org");

    let response = browser.post(PATH, json!({})).await;
    assert_eq!(response.expect(200), json!({}));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_cleared(&response);
    let current = browser.get("/api/users/currentuser").await.expect(200);
    assert_eq!(current, json!({ "currentUser": null }));
    auth.refresh(&refresh).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn either_token_alone_ends_the_session() {
    let auth = World::start().await;
    for (email, name) in [("a@example.org", "session"), ("b@example.org", "refresh")] {
        let response = auth.sign_up(email).await;
        let client = auth.service.client().cookie(name, &cookie(&response, name));
        client.post(PATH, json!({})).await.expect(200);
        auth.refresh(&cookie(&response, "refresh")).await.problem(401, "not-signed-in");
    }
}

#[tokio::test]
async fn anyone_may_sign_out() {
    let auth = World::start().await;
    let client = auth.service.client();
    for client in [
        client.clone(),
        client.cookie("session", "garbage").cookie("refresh", "garbage"),
        auth.service.client_as(&auth.infra.user()),
    ] {
        let response = client.post(PATH, json!({})).await;
        assert_eq!(response.expect(200), json!({}));
        assert_cleared(&response);
    }
    let without_a_body = client.request(testkit::Method::POST, PATH).send().await;
    assert_eq!(without_a_body.expect(200), json!({}));
}

#[tokio::test]
async fn another_site_can_not_sign_a_user_out() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let client = auth.service.client().cookie("refresh", &token);
    let response = client.header("sec-fetch-site", "cross-site").post(PATH, json!({})).await;
    response.problem(403, "cross-site");
    auth.refresh(&token).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_that_was_used_ends_its_session_too() {
    let auth = World::start().await;
    let first = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let mut last = first.clone();
    for _ in 0..3 {
        last = cookie(&auth.refresh(&last).await, "refresh");
    }
    auth.service.client().cookie("refresh", &first).post(PATH, json!({})).await.expect(200);
    auth.refresh(&last).await.problem(401, "not-signed-in");
}
