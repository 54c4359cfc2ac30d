use std::time::Duration;

use serde_json::json;
use testkit::{Forgery, TestUser};

use super::*;

const PATH: &str = "/api/users/currentuser";

#[tokio::test]
async fn nobody_is_signed_in_without_a_token() {
    let auth = World::start().await;
    for path in [PATH, "/api/users/currentUser"] {
        let answer = auth.service.client().get(path).await;
        assert_eq!(answer.expect(200), json!({ "currentUser": null }));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn whoever_signed_up_is_the_current_user() {
    let auth = World::start().await;
    let browser = auth.service.browser();
    let body = json!({ "email": "kim@example.org", "password": PASSWORD, "name": "Kim" });
    let user = browser.post("/api/users/signup", body).await.expect(201);
    for path in [PATH, "/api/users/currentUser"] {
        assert_eq!(browser.get(path).await.expect(200), json!({ "currentUser": user }));
    }
}

#[tokio::test]
async fn a_session_token_lives_a_quarter_of_an_hour() {
    let auth = World::start().await;
    let answer = auth.sign_up("kim@example.org").await;
    let token = cookie(&answer, "session");
    auth.infra.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(auth.current_user(&token).await, answer.expect(201));
    auth.infra.clock.advance(Duration::from_secs(1));
    assert_eq!(auth.current_user(&token).await, json!(null));
}

#[tokio::test]
async fn a_forged_token_is_nobodys() {
    let auth = World::start().await;
    let answer = auth.sign_up("kim@example.org").await;
    let id = answer.expect(201)["id"].as_str().unwrap().parse().unwrap();
    let honest = TestUser { id, token: cookie(&answer, "session"), ..auth.infra.user() };
    assert_eq!(auth.current_user(&honest.token).await["email"], "kim@example.org");
    for forgery in Forgery::ALL {
        let forged = auth.infra.forged(&honest, forgery);
        assert_eq!(auth.current_user(&forged.token).await, json!(null), "{forgery:?}");
    }
    let stump = honest.token.rsplit_once('.').unwrap().0;
    for token in ["", "rubbish", "a.b.c", stump, &cookie(&answer, "refresh")] {
        assert_eq!(auth.current_user(token).await, json!(null), "{token}");
    }
}

#[tokio::test]
async fn a_token_of_someone_who_is_unknown_is_nobodys() {
    let auth = World::start().await;
    assert_eq!(auth.current_user(&auth.infra.user().token).await, json!(null));
}
