use std::time::Duration;

use serde_json::json;
use testkit::{Forgery, TestUser};

use super::*;

const PATH: &str = "/api/users/currentuser";

#[tokio::test]
async fn without_a_token_there_is_no_current_user() {
    let auth = World::start().await;
    for path in [PATH, "/api/users/currentUser"] {
        let response = auth.service.client().get(path).await;
        assert_eq!(response.expect(200), json!({ "currentUser": null }));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_signed_up_user_is_the_current_user() {
    let auth = World::start().await;
    let browser = auth.service.browser();
    let body = json!({ "email": "kim@example.org", "password": PASSWORD, "name": "Kim" });
    let user = browser.post("/api/users/signup", body).await.expect(201);
    for path in [PATH, "/api/users/currentUser"] {
        assert_eq!(browser.get(path).await.expect(200), json!({ "currentUser": user }));
    }
}

#[tokio::test]
async fn a_session_token_is_valid_for_a_quarter_of_an_hour() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let token = cookie(&response, "session");
    auth.infra.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(auth.current_user(&token).await, response.expect(201));
    auth.infra.clock.advance(Duration::from_secs(1));
    assert_eq!(auth.current_user(&token).await, json!(null));
}

#[tokio::test]
async fn a_forged_token_has_no_current_user() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let id = response.expect(201)["id"].as_str().unwrap().parse().unwrap();
    let genuine = TestUser { id, token: cookie(&response, "session"), ..auth.infra.user() };
    assert_eq!(auth.current_user(&genuine.token).await["email"], "kim@example.org");
    for forgery in Forgery::ALL {
        let forged = auth.infra.forged(&genuine, forgery);
        assert_eq!(auth.current_user(&forged.token).await, json!(null), "{forgery:?}");
    }
    let unsigned = genuine.token.rsplit_once('.').unwrap().0;
    for token in ["", "garbage", "a.b.c", unsigned, &cookie(&response, "refresh")] {
        assert_eq!(auth.current_user(token).await, json!(null), "{token}");
    }
}

#[tokio::test]
async fn a_token_of_an_unknown_user_has_no_current_user() {
    let auth = World::start().await;
    assert_eq!(auth.current_user(&auth.infra.user().token).await, json!(null));
}
