use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

const PATH: &str = "/api/users/signin";

#[tokio::test]
async fn the_right_password_signs_in() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.expect(201);
    for email in ["kim@example.org", " KIM@example.org"] {
        let response = auth.service.client().post(PATH, credentials(email)).await;
        assert_eq!(response.expect(200), user);
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(auth.current_user(&cookie(&response, "session")).await, user);
        auth.refresh(&cookie(&response, "refresh")).await.expect(200);
    }
}

#[tokio::test]
async fn each_sign_in_is_a_session_of_its_own() {
    let auth = World::start().await;
    let first = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let response = auth.service.client().post(PATH, credentials("kim@example.org")).await;
    let second = cookie(&response, "refresh");
    auth.service
        .client()
        .cookie("refresh", &first)
        .post("/api/users/signout", json!({}))
        .await
        .expect(200);
    auth.refresh(&first).await.problem(401, "not-signed-in");
    auth.refresh(&second).await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_response() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    let client = auth.service.client();
    let wrong = json!({ "email": "kim@example.org", "password": "wrong horse" });
    let wrong = client.post(PATH, wrong).await;
    let unknown = client.post(PATH, credentials("eve@example.org")).await;
    for response in [&wrong, &unknown] {
        let body = response.problem(401, "invalid-credentials");
        assert_eq!(body["errors"], json!([{ "message": "Invalid credentials" }]));
        assert_eq!(response.header("set-cookie"), None);
    }
    assert_eq!(wrong.body, unknown.body);
}

/// A hash takes 19 MiB of work: a response without it would be ten times as fast.
#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    let client = auth.service.client();
    let mut quickest = [Duration::MAX; 2];
    for _ in 0..5 {
        for (quickest, email) in quickest.iter_mut().zip(["kim@example.org", "eve@example.org"]) {
            let body = json!({ "email": email, "password": "wrong horse" });
            let begun = Instant::now();
            client.post(PATH, body).await.problem(401, "invalid-credentials");
            *quickest = begun.elapsed().min(*quickest);
        }
    }
    let [known, unknown] = quickest;
    assert!(unknown * 2 > known, "known: {known:?}, unknown: {unknown:?}");
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_refused() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    for (body, fields) in [
        (json!({ "email": { "$gt": "" }, "password": { "$gt": "" } }), vec!["email"]),
        (json!({ "email": "kim@example.org", "password": { "$gt": "" } }), vec!["password"]),
        (json!({ "email": "kim@example.org", "password": { "$ne": null } }), vec!["password"]),
        (json!({ "email": "kim", "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "kim@example.org", "password": "" }), vec!["password"]),
        (json!({ "email": "kim@example.org" }), vec!["password"]),
        (json!({}), vec!["email", "password"]),
    ] {
        let response = auth.service.client().post(PATH, body.clone()).await;
        assert_eq!(response.invalid_fields(), fields, "{body}");
    }
    auth.service.client().post(PATH, json!("{")).await.problem(400, "invalid");
    let endless = json!({ "email": "kim@example.org", "password": "x".repeat(129) });
    auth.service.client().post(PATH, endless).await.problem(401, "invalid-credentials");
}

#[tokio::test]
async fn a_password_is_compared_exactly() {
    let auth = World::start().await;
    let body = json!({ "email": "kim@example.org", "password": " Pässwörd\u{0} 🎫 " });
    auth.service.client().post("/api/users/signup", body.clone()).await.expect(201);
    auth.service.client().post(PATH, body).await.expect(200);
    for password in ["Pässwörd\u{0} 🎫", " pässwörd\u{0} 🎫 ", " Pässwörd"] {
        let body = json!({ "email": "kim@example.org", "password": password });
        auth.service.client().post(PATH, body).await.problem(401, "invalid-credentials");
    }
}

#[tokio::test]
async fn another_site_can_not_sign_a_user_in() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    let client = auth.service.client().header("origin", "https://evil.example");
    client.post(PATH, credentials("kim@example.org")).await.problem(403, "cross-site");
}

#[tokio::test]
async fn an_address_whose_domain_is_spelled_otherwise_is_the_same_account() {
    let auth = World::start().await;
    let user = auth.sign_up("max@m\u{fc}x.example").await.expect(201);
    for email in ["MAX@M\u{dc}X.example", "max@mu\u{308}x.example", "max@xn--mx-xka.example"] {
        let response = auth.service.client().post(PATH, credentials(email)).await;
        assert_eq!(response.expect(200), user, "{email}");
        auth.service
            .client()
            .post("/api/users/signup", credentials(email))
            .await
            .problem(409, "email-in-use");
    }
}

/// The version before stored domains as they were typed.
#[tokio::test]
async fn an_account_that_is_stored_in_another_spelling_keeps_working() {
    let auth = World::start().await;
    let users = auth.infra.database("auth").await.collection::<bson::Document>("users");
    for (number, stored) in
        ["xn--mx-xka.example", "mu\u{308}x.example", "m\u{fc}x.example"].iter().enumerate()
    {
        let new = format!("max{number}@m\u{fc}x.example");
        auth.sign_up(&new).await.expect(201);
        let old = format!("max{number}@{stored}");
        let set = bson::doc! { "$set": { "email": &old } };
        users.update_one(bson::doc! { "email": &new }, set).await.unwrap();
        auth.service.client().post(PATH, credentials(&old)).await.expect(200);
        auth.service
            .client()
            .post("/api/users/signup", credentials(&old))
            .await
            .problem(409, "email-in-use");
    }
    let canonical = credentials("max0@m\u{fc}x.example");
    auth.service.client().post(PATH, canonical).await.expect(200);
}

#[tokio::test]
async fn a_password_may_be_typed_on_another_keyboard() {
    let auth = World::start().await;
    let typed = |password: &str| json!({ "email": "kim@example.org", "password": password });
    let client = auth.service.client();
    client.post("/api/users/signup", typed("p\u{e4}ssword 1")).await.expect(201);
    for password in ["p\u{e4}ssword 1", "pa\u{308}ssword\u{a0}1"] {
        client.post(PATH, typed(password)).await.expect(200);
    }
    client.post(PATH, typed("passwort 1")).await.problem(401, "invalid-credentials");
}
