use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use testkit::Forgery;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_pair() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let user = response.expect(201);
    let (session, token) = (cookie(&response, "session"), cookie(&response, "refresh"));

    auth.infra.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(auth.current_user(&session).await, json!(null));
    let response = auth.refresh(&token).await;
    assert_eq!(response.expect(200), user);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_ne!(cookie(&response, "refresh"), token);
    assert!(response.set_cookie("refresh").unwrap().contains("Max-Age=2592000"));
    assert_eq!(auth.current_user(&cookie(&response, "session")).await, user);
}

#[tokio::test]
async fn a_session_lasts_as_long_as_it_is_refreshed() {
    let auth = World::start().await;
    let mut token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    for _ in 0..4 {
        auth.infra.clock.advance(DAY * 29);
        let response = auth.refresh(&token).await;
        response.expect(200);
        token = cookie(&response, "refresh");
    }
    auth.infra.clock.advance(DAY * 30);
    auth.refresh(&token).await.problem(401, "not-signed-in");
}

/// Two tabs, or a response that was lost on the way.
#[tokio::test]
async fn a_token_whose_successor_is_unused_gets_the_same_successor_again() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let successor = cookie(&auth.refresh(&token).await, "refresh");
    for pause in [Duration::ZERO, Duration::from_secs(10), DAY] {
        auth.infra.clock.advance(pause);
        assert_eq!(cookie(&auth.refresh(&token).await, "refresh"), successor);
    }
    auth.refresh(&successor).await.expect(200);
}

#[tokio::test]
async fn ten_tabs_on_two_replicas_that_refresh_concurrently_get_the_same_successor() {
    let auth = World::start().await;
    let other = replica(&auth.infra).await;
    let mut token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    for _ in 0..10 {
        let responses = join_all((0..10).map(|tab| {
            let service = if tab % 2 == 0 { &auth.service } else { &other };
            refresh(service, &token)
        }))
        .await;
        let successors: BTreeSet<_> = responses
            .iter()
            .map(|response| {
                response.expect(200);
                cookie(response, "refresh")
            })
            .collect();
        assert_eq!(successors.len(), 1, "{successors:?}");
        token = successors.into_iter().next().unwrap();
    }
}

#[tokio::test]
async fn a_token_that_is_reused_after_its_successor_was_used_ends_the_whole_session() {
    let auth = World::start().await;
    let stolen = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let next = cookie(&auth.refresh(&stolen).await, "refresh");
    let last = cookie(&auth.refresh(&next).await, "refresh");
    let response = auth.refresh(&stolen).await;
    response.problem(401, "not-signed-in");
    assert_cleared(&response);
    for token in [&last, &next, &stolen] {
        auth.refresh(token).await.problem(401, "not-signed-in");
    }
}

#[tokio::test]
async fn a_thief_who_refreshes_first_is_detected_when_the_owner_refreshes() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let thiefs = cookie(&auth.refresh(&token).await, "refresh");
    let thiefs = cookie(&auth.refresh(&thiefs).await, "refresh");
    // After two rotations its successor has been used.
    auth.refresh(&token).await.problem(401, "not-signed-in");
    auth.refresh(&thiefs).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn a_concurrent_theft_and_refresh_leave_no_live_session() {
    let auth = World::start().await;
    let stolen = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let current = cookie(&auth.refresh(&stolen).await, "refresh");
    let current = cookie(&auth.refresh(&current).await, "refresh");
    let (theft, refreshed) = tokio::join!(auth.refresh(&stolen), auth.refresh(&current));
    theft.problem(401, "not-signed-in");
    // Whether or not the refresh came first, its token is invalid now.
    let last = refreshed.cookie("refresh").filter(|token| !token.is_empty()).unwrap_or(&current);
    auth.refresh(last).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn what_is_not_a_refresh_token_is_refused() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let token = cookie(&response, "refresh");
    let (id, secret) = token.split_once('.').unwrap();
    let unknown = common::ids::SessionId::new(auth.infra.clock.now());
    for text in [
        String::new(),
        "garbage".to_owned(),
        id.to_owned(),
        format!("{id}.{secret}{secret}"),
        format!("{unknown}.{secret}"),
        format!("{}.{secret}", r#"{"$gt":""}"#),
        cookie(&response, "session"),
    ] {
        let refused = auth.refresh(&text).await;
        refused.problem(401, "not-signed-in");
        assert_cleared(&refused);
    }
    let nothing = auth.service.client().post("/api/users/refresh", json!({})).await;
    nothing.problem(401, "not-signed-in");
    auth.refresh(&token).await.expect(200);
}

/// A session's id is no secret: the session token contains it in plain text, and logs name it.
#[tokio::test]
async fn a_session_can_t_be_ended_by_its_id_alone() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let (id, _) = token.split_once('.').unwrap();
    let guessed = format!("{id}.{}", "A".repeat(43));
    auth.refresh(&guessed).await.problem(401, "not-signed-in");
    let client = auth.service.client().cookie("refresh", &guessed);
    client.post("/api/users/signout", json!({})).await.expect(200);
    auth.refresh(&token).await.expect(200);
}

#[tokio::test]
async fn a_session_token_can_not_refresh() {
    let auth = World::start().await;
    let user = auth.infra.user();
    let client = auth.service.client_as(&user);
    client.post("/api/users/refresh", json!({})).await.problem(401, "not-signed-in");
    for forgery in Forgery::ALL {
        let forged = auth.service.client_as(&auth.infra.forged(&user, forgery));
        forged.post("/api/users/refresh", json!({})).await.problem(401, "not-signed-in");
    }
}

#[tokio::test]
async fn another_site_can_not_refresh() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let client = auth.service.client().cookie("refresh", &token);
    let client = client.header("sec-fetch-site", "cross-site");
    client.post("/api/users/refresh", json!({})).await.problem(403, "cross-site");
}

#[tokio::test]
async fn an_expired_session_is_deleted_by_the_database() {
    let auth = World::start().await;
    let sessions = auth.infra.database("auth").await.collection::<serde_json::Value>("sessions");
    let mut indexes = sessions.list_indexes().await.unwrap();
    let mut found = false;
    while let Some(index) = futures::TryStreamExt::try_next(&mut indexes).await.unwrap() {
        let options = index.options.unwrap();
        if options.expire_after == Some(Duration::ZERO) {
            found = index.keys.contains_key("expiresAt");
        }
    }
    assert!(found, "no index that expires sessions");
    auth.sign_up("kim@example.org").await;
    let dates = mongo_filter();
    assert_eq!(sessions.count_documents(dates).await.unwrap(), 1, "only dates expire");
}

fn mongo_filter() -> bson::Document {
    bson::doc! { "expiresAt": { "$type": "date" } }
}
