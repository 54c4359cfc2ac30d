//! API tokens, and the access tokens that they are exchanged for.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use std::time::Duration;

use common::events::UserSessionEnded;
use common::ids::UserId;
use common::scopes::Scope;
use serde_json::json;
use testkit::{Client, Forgery, Keys, access_claims, eventually};

use super::*;

const TOKENS: &str = "/api/users/tokens";
const ACCESS: &str = "/api/users/tokens/access";

/// A user with a session.
async fn signed_in(auth: &World, email: &str) -> Client {
    let token = cookie(&auth.sign_up(email).await, "session");
    auth.service.client().cookie("session", &token)
}

async fn create(client: &Client) -> Value {
    let token = json!({ "name": "Ledger", "scopes": ["orders:read", "payments:read"] });
    client.post(TOKENS, token).await.expect(201)
}

async fn exchange(auth: &World, token: &Value) -> Response {
    exchange_text(auth, token["token"].as_str().unwrap()).await
}

async fn exchange_text(auth: &World, token: &str) -> Response {
    auth.service.client().bearer(token).post(ACCESS, json!({})).await
}

#[tokio::test]
async fn a_token_is_shown_once_and_stored_as_a_hash() {
    let auth = World::start().await;
    let kim = signed_in(&auth, "kim@example.org").await;
    let created = create(&kim).await;
    let token = created["token"].as_str().unwrap();
    assert!(token.starts_with("tkt_") && token.len() == 47, "{token}");
    let list = kim.get(TOKENS).await;
    assert_eq!(list.header("cache-control"), Some("no-store"));
    let listed = list.expect(200)["tokens"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 1);
    for member in ["id", "name", "scopes", "createdAt", "expiresAt"] {
        assert_eq!(listed[0][member], created[member], "{member}");
    }
    assert_eq!(listed[0]["scopes"], json!(["orders:read", "payments:read"]));
    assert!(listed[0].get("token").is_none() && listed[0].get("lastUsedAt").is_none());
    let stored = auth.infra.database("auth").await.collection::<bson::Document>("api_tokens");
    let stored = stored.find_one(bson::doc! {}).await.unwrap().unwrap().to_string();
    assert!(!stored.contains(token) && !stored.contains(&token[4..]), "{stored}");
}

#[tokio::test]
async fn it_is_exchanged_for_an_access_token_of_its_scopes() {
    let auth = World::start().await;
    let kim = signed_in(&auth, "kim@example.org").await;
    let id: UserId = kim.get("/api/users/currentuser").await.expect(200)["currentUser"]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let token = create(&kim).await;
    let response = exchange(&auth, &token).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let exchanged = response.expect(200);
    assert_eq!(exchanged["scopes"], json!(["orders:read", "payments:read"]));
    let access = exchanged["accessToken"].as_str().unwrap();
    let user = auth.infra.verifier().verify_access(access).unwrap();
    assert_eq!((user.id, user.is_admin()), (id, false));
    assert_eq!(user.session.to_string(), token["id"]);
    let scopes: Vec<Scope> = user.scopes.unwrap().iter().collect();
    assert_eq!(scopes, [Scope::OrdersRead, Scope::PaymentsRead]);
    assert_eq!(
        kim.get(TOKENS).await.expect(200)["tokens"][0]["lastUsedAt"],
        json!(auth.infra.clock.now())
    );

    auth.infra.clock.advance(Duration::from_secs(14 * 60 + 59));
    assert!(auth.infra.verifier().verify_access(access).is_some());
    auth.infra.clock.advance(Duration::from_secs(1));
    assert!(auth.infra.verifier().verify_access(access).is_none());
    exchange(&auth, &token).await.expect(200);
}

#[tokio::test]
async fn a_token_that_is_revoked_is_refused_and_every_service_receives_that() {
    let auth = World::start().await;
    let kim = signed_in(&auth, "kim@example.org").await;
    let (token, other) = (create(&kim).await, create(&kim).await);
    let access = exchange(&auth, &token).await.expect(200)["accessToken"].clone();
    let path = format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    let eve = signed_in(&auth, "eve@example.org").await;
    eve.delete(&path).await.problem(404, "not-found");
    exchange(&auth, &token).await.expect(200);
    for _ in 0..2 {
        kim.delete(&path).await.expect(204);
    }
    exchange(&auth, &token).await.problem(401, "not-signed-in");
    let program = auth.service.program(access.as_str().unwrap());
    program.get("/api/users/sessions").await.problem(401, "not-signed-in");
    exchange(&auth, &other).await.expect(200);
    assert_eq!(kim.get(TOKENS).await.expect(200)["tokens"].as_array().unwrap().len(), 1);

    let ended = async || {
        let events = auth.infra.bus().published::<UserSessionEnded>().await;
        events.into_iter().filter(|event| json!(event.0.id) == token["id"]).count()
    };
    eventually("the event", async || (ended().await == 1).then_some(())).await;
}

#[tokio::test]
async fn tokens_end_with_all_sessions_with_a_ban_and_by_themselves() {
    let auth = World::start().await;
    let kim = signed_in(&auth, "kim@example.org").await;
    let token = create(&kim).await;
    kim.delete("/api/users/sessions").await.expect(204);
    exchange(&auth, &token).await.problem(401, "not-signed-in");
    let client = auth.service.client();
    let again = client.post("/api/users/signin", credentials("kim@example.org")).await;
    let user = again.expect(200)["id"].as_str().unwrap().to_owned();
    let kim = auth.service.client().cookie("session", &cookie(&again, "session"));
    assert_eq!(kim.get(TOKENS).await.expect(200)["tokens"], json!([]));

    let token = create(&kim).await;
    let admin = auth.service.client_as(&auth.infra.admin());
    let ban = format!("/api/users/{user}/ban");
    admin.put(&ban, json!({ "reason": "Fraud" })).await.expect(200);
    exchange(&auth, &token).await.problem(401, "not-signed-in");
    admin.delete(&ban).await.expect(200);
    exchange(&auth, &token).await.problem(401, "not-signed-in");

    let lee = signed_in(&auth, "lee@example.org").await;
    let short = json!({ "name": "Day", "scopes": ["checkin"], "expiresInDays": 1 });
    let token = lee.post(TOKENS, short).await.expect(201);
    auth.infra.clock.advance(Duration::from_secs(24 * 60 * 60 - 60));
    let access = exchange(&auth, &token).await.expect(200);
    // It isn't valid for longer than the token that it was exchanged for.
    assert_eq!(access["expiresAt"], token["expiresAt"]);
    auth.infra.clock.advance(Duration::from_secs(60));
    exchange(&auth, &token).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn what_is_asked_for_is_checked() {
    let auth = World::start().await;
    let kim = signed_in(&auth, "kim@example.org").await;
    for (body, fields) in [
        (json!({}), vec!["name", "scopes"]),
        (json!({ "name": " ", "scopes": ["checkin"] }), vec!["name"]),
        (json!({ "name": "Ledger", "scopes": ["admin"] }), vec!["scopes"]),
        (
            json!({ "name": "Ledger", "scopes": ["checkin"], "expiresInDays": 366 }),
            vec!["expiresInDays"],
        ),
    ] {
        assert_eq!(kim.post(TOKENS, body.clone()).await.invalid_fields(), fields, "{body}");
    }
    auth.service.client().get(TOKENS).await.problem(401, "not-signed-in");
    for token in ["", "tkt_", "tkt_AAAA", "x"] {
        exchange_text(&auth, token).await.problem(401, "not-signed-in");
    }
    auth.service.client().post(ACCESS, json!({})).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn a_user_has_so_many_tokens_and_no_more() {
    let auth = World::start().await;
    let kim = signed_in(&auth, "kim@example.org").await;
    let mut created = Vec::new();
    for _ in 0..50 {
        created.push(create(&kim).await);
        auth.infra.clock.advance(Duration::from_secs(1));
    }
    let more = json!({ "name": "One more", "scopes": ["checkin"] });
    kim.post(TOKENS, more.clone()).await.problem(409, "too-many-tokens");
    kim.delete(&format!("{TOKENS}/{}", created[0]["id"].as_str().unwrap())).await.expect(204);
    kim.post(TOKENS, more).await.expect(201);
}

/// Accounts are the users' own, whatever a program's scopes; and no program is an administrator.
#[tokio::test]
async fn no_program_manages_accounts() {
    let auth = World::start().await;
    for user in [auth.infra.user(), auth.infra.admin()] {
        let program = auth.service.program(&auth.infra.access_token(&user, &Scope::ALL));
        let id = user.id;
        for path in [
            "/api/users/currentuser".to_owned(),
            "/api/users/sessions".to_owned(),
            TOKENS.to_owned(),
            "/api/users/audit".to_owned(),
            "/api/users?email=kim@example.org".to_owned(),
            format!("/api/users/{id}"),
        ] {
            program.get(&path).await.problem(403, "insufficient-scope");
        }
        let new = json!({ "name": "Ledger", "scopes": ["checkin"] });
        program.post(TOKENS, new).await.problem(403, "insufficient-scope");
        program.delete("/api/users/sessions").await.problem(403, "insufficient-scope");
        program.delete(&format!("{TOKENS}/{id}")).await.problem(403, "insufficient-scope");
        let ban = json!({ "reason": "Fraud" });
        let ban = program.put(&format!("/api/users/{id}/ban"), ban).await;
        ban.problem(403, "insufficient-scope");
    }
}

/// The header says what the program was given; a browser's cookie beside it changes nothing.
#[tokio::test]
async fn of_a_request_with_both_the_header_counts() {
    let auth = World::start().await;
    let user = auth.infra.user();
    let session = auth.service.client_as(&user);
    session.get("/api/users/currentuser").await.expect(200);
    let access = auth.infra.access_token(&user, &Scope::ALL);
    session.bearer(&access).get(TOKENS).await.problem(403, "insufficient-scope");
    let claims = || access_claims(user.id, user.session, &auth.infra.clock, &Scope::ALL);
    for forgery in Forgery::ALL {
        let forged = Keys::ours().forge(claims(), forgery);
        for client in [session.bearer(&forged), auth.service.program(&forged)] {
            client.get(TOKENS).await.problem(401, "not-signed-in");
            client.get("/api/users/currentuser").await.problem(401, "not-signed-in");
        }
    }
    let token = "tkt_AAAA";
    let hint = session.bearer(token).get(TOKENS).await.problem(401, "not-signed-in");
    assert!(hint["detail"].as_str().unwrap().contains(ACCESS), "{hint}");
}
