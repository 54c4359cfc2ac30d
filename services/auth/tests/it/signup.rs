use std::collections::BTreeSet;

use common::events::{UserCreated, UserStatus};
use common::ids::UserId;
use futures::future::join_all;
use httpkit::auth::Verifier;
use serde_json::{Value, json};
use testkit::{Infra, Method, PUBLIC_URL};

use super::*;

const PATH: &str = "/api/users/signup";

#[tokio::test]
async fn a_new_user_is_created_and_signed_in() {
    let auth = World::start().await;
    let body = json!({
        "email": " Kim@Example.ORG ", "password": PASSWORD,
        "name": " Kim Håkansson ", "phone": "+49 (0)30 / 123-45.67", "groups": ["admin"],
    });
    let answer = auth.service.client().post(PATH, body).await;
    let user = answer.expect(201);
    assert_eq!(
        user,
        json!({
            "id": user["id"], "email": "kim@example.org",
            "name": "Kim Håkansson", "phone": "+49 (0)30 / 123-45.67",
        })
    );
    assert_eq!(answer.header("location"), Some("/api/users/currentuser"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(auth.current_user(&cookie(&answer, "session")).await, user);

    let url = PUBLIC_URL.parse().unwrap();
    let key = auth.infra.public_key_file();
    let verifier = Verifier::from_file(&key, &url, auth.infra.clock.clone()).unwrap();
    let claims = verifier.verify(&cookie(&answer, "session")).unwrap();
    assert_eq!(json!(claims.id), user["id"]);
    assert!(!claims.is_admin(), "nobody makes themselves an admin");
}

#[tokio::test]
async fn an_idempotency_key_means_nothing_here() {
    let auth = World::start().await;
    for (key, email) in [("", "a@example.org"), ("1", "b@example.org"), ("1", "c@example.org")] {
        auth.service
            .client()
            .with_idempotency_key(key)
            .post(PATH, credentials(email))
            .await
            .expect(201);
    }
}

#[tokio::test]
async fn name_and_phone_may_be_left_out_or_empty() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.expect(201);
    assert_eq!(user, json!({ "id": user["id"], "email": "kim@example.org" }));

    for (email, blank) in [("a@example.org", json!("")), ("b@example.org", Value::Null)] {
        let body = json!({ "email": email, "password": PASSWORD, "name": blank, "phone": blank });
        let user = auth.service.client().post(PATH, body).await.expect(201);
        assert_eq!(user, json!({ "id": user["id"], "email": email }));
    }
}

#[tokio::test]
async fn the_cookies_are_out_of_reach_of_scripts_and_other_sites() {
    let auth = World::start().await;
    let answer = auth.sign_up("kim@example.org").await;
    for (name, seconds) in [("session", 900), ("refresh", 2_592_000)] {
        let cookie = answer.set_cookie(name).unwrap();
        for part in ["HttpOnly", "SameSite=Lax", "Path=/", &format!("Max-Age={seconds}")] {
            assert!(cookie.contains(part), "{part}: {cookie}");
        }
        assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn over_https_the_cookies_are_secure_and_bound_to_the_host() {
    let auth = World::at("https://tickets.example").await;
    let body = credentials("kim@example.org");
    let answer = auth.service.client().post(PATH, body).await;
    answer.expect(201);
    for name in ["__Host-session", "__Host-refresh"] {
        let cookie = answer.set_cookie(name).unwrap();
        assert!(cookie.contains("Secure") && cookie.contains("Path=/"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let refresh = cookie(&answer, "__Host-refresh");
    let client = auth.service.client().cookie("__Host-refresh", &refresh);
    client.post("/api/users/refresh", json!({})).await.expect(200);
    // Over http, or from a sibling of the host, somebody else may have set the plain name.
    let client = auth.service.client().cookie("refresh", &refresh);
    client.post("/api/users/refresh", json!({})).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn every_broken_rule_is_told() {
    let auth = World::start().await;
    let body = json!({ "email": "kim", "password": "short", "name": "a\nb", "phone": "call me" });
    let answer = auth.service.client().post(PATH, body).await;
    assert_eq!(answer.invalid_fields(), ["email", "name", "password", "phone"]);
    assert_eq!(answer.header("set-cookie"), None);

    let body = json!({
        "email": "kim@example.org", "password": PASSWORD, "name": format!("\t{}", "x".repeat(100)),
    });
    let answer = auth.service.client().post(PATH, body).await;
    assert_eq!(answer.invalid_fields(), ["name", "name"]);
}

#[tokio::test]
async fn a_password_has_8_to_128_characters_whatever_they_are() {
    let auth = World::start().await;
    let passwords =
        ["1234567".to_owned(), "x".repeat(129), "🎫".repeat(7), "🎫".repeat(129), String::new()];
    for password in passwords {
        let body = json!({ "email": "kim@example.org", "password": password });
        let answer = auth.service.client().post(PATH, body).await;
        assert_eq!(answer.invalid_fields(), ["password"], "{password}");
    }
    let good = ["12345678".to_owned(), "x".repeat(128), "🎫".repeat(8), "🎫".repeat(128)];
    for (index, password) in good.into_iter().enumerate() {
        let body = json!({ "email": format!("kim{index}@example.org"), "password": password });
        auth.service.client().post(PATH, body.clone()).await.expect(201);
        auth.service.client().post("/api/users/signin", body).await.expect(200);
    }
}

#[tokio::test]
async fn what_is_no_such_body_is_refused_in_the_agreed_shape() {
    let auth = World::start().await;
    for (body, fields) in [
        (json!({ "email": { "$gt": "" }, "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "kim@example.org", "password": { "$gt": "" } }), vec!["password"]),
        (json!({ "email": ["kim@example.org"], "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "kim@example.org", "password": 12345678 }), vec!["password"]),
        (json!({ "email": null, "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "kim@example.org", "password": PASSWORD, "name": {} }), vec!["name"]),
        (json!({ "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "kim@example.org" }), vec!["password"]),
        (json!({}), vec!["email", "password"]),
        (json!("kim@example.org"), vec![""]),
        (json!(null), vec![""]),
    ] {
        let answer = auth.service.client().post(PATH, body.clone()).await;
        assert_eq!(answer.invalid_fields(), fields, "{body}");
    }
    auth.service.client().post(PATH, json!([])).await.problem(400, "invalid");
    auth.service.stop().await;
    assert!(auth.infra.bus().published::<UserCreated>().await.is_empty());
}

#[tokio::test]
async fn what_is_no_json_is_refused_in_the_agreed_shape() {
    let auth = World::start().await;
    let send = |content_type: Option<&'static str>, body: Vec<u8>| {
        let request = auth.service.client().request(Method::POST, PATH).body(body);
        match content_type {
            Some(content_type) => request.header("content-type", content_type).send(),
            None => request.send(),
        }
    };
    let good = credentials("kim@example.org").to_string();
    let json = Some("application/json");
    for body in ["", "{", "{\"email\": \"kim@example.org\",}", "nonsense"] {
        send(json, body.into()).await.problem(400, "malformed");
    }
    send(json, b"\xff\xfe\x00".to_vec()).await.problem(400, "malformed");
    send(json, format!("{good} {good}").into_bytes()).await.problem(400, "malformed");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep = send(json, deep.into_bytes()).await;
    assert_eq!(deep.status.as_u16(), 400, "{}", deep.text);

    let large = json!({ "email": "kim@example.org", "password": "x".repeat(3_000_000) });
    send(json, large.to_string().into_bytes()).await.problem(413, "too-large");

    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        send(content_type, good.clone().into()).await.problem(415, "unsupported-media-type");
    }
    send(Some("application/json; charset=utf-8"), good.into()).await.expect(201);
}

#[tokio::test]
async fn only_post_is_taken() {
    let auth = World::start().await;
    let answer = auth.service.client().get(PATH).await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    auth.service.client().get("/api/users/nobody").await.problem(404, "not-found");
}

#[tokio::test]
async fn an_address_is_used_once_however_it_is_spelt() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    for email in ["kim@example.org", "KIM@EXAMPLE.ORG", "\tkim@example.org "] {
        let answer = auth.service.client().post(PATH, credentials(email)).await;
        answer.problem(409, "email-in-use");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn of_twenty_who_want_one_address_at_once_one_gets_it() {
    let auth = World::start().await;
    let answers =
        join_all((0..20).map(|_| async {
            auth.service.client().post(PATH, credentials("kim@example.org")).await
        }))
        .await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "email-in-use");
    }
}

/// The control of the test above: what it finds is the index's doing.
#[tokio::test]
async fn without_the_unique_index_two_would_get_one_address() {
    let auth = World::start().await;
    let users =
        auth.infra.database("auth").await.collection::<common::events::UserCreated>("users");
    users.drop_index("email").await.unwrap();
    let answers =
        join_all((0..2).map(|_| async {
            auth.service.client().post(PATH, credentials("kim@example.org")).await
        }))
        .await;
    let ids: BTreeSet<_> =
        answers.iter().map(|answer| answer.expect(201)["id"].to_string()).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_new_user_is_announced_once() {
    let auth = World::start().await;
    let body = json!({ "email": "kim@example.org", "password": PASSWORD, "name": "Kim" });
    let user = auth.service.client().post(PATH, body.clone()).await.expect(201);
    auth.service.client().post(PATH, body).await.problem(409, "email-in-use");
    // The relay publishes what waits before it ends.
    auth.service.stop().await;

    let id: UserId = user["id"].as_str().unwrap().parse().unwrap();
    let expected = common::events::User {
        id,
        email: "kim@example.org".to_owned(),
        name: Some("Kim".to_owned()),
        status: UserStatus::Active,
        version: 1,
    };
    assert_eq!(auth.infra.bus().published::<UserCreated>().await, [UserCreated(expected)]);
    let headers = &auth.infra.bus().headers::<UserCreated>().await[0];
    assert_eq!(headers["ce-type"], "user.created");
    assert_eq!(headers["ce-id"], format!("user.created:{id}:1"));
    assert_eq!(headers["ce-source"], "/services/auth");
    assert_eq!(headers["ce-subject"], id.to_string());
}

#[tokio::test]
async fn one_can_sign_up_while_the_broker_is_down_and_is_announced_later() {
    let auth = World::start().await;
    auth.infra.nats.kill();
    let user = auth.sign_up("kim@example.org").await.expect(201);
    auth.infra.nats.restart().await;
    auth.infra.bus().wait_for::<UserCreated>(|event| json!(event.0.id) == user["id"]).await;
}

#[tokio::test]
async fn a_password_is_stored_as_an_argon2id_hash_alone() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    let database = auth.infra.database("auth").await;
    for collection in ["users", "sessions"] {
        let stored = database.collection::<Value>(collection).find_one(Default::default()).await;
        let stored = stored.unwrap().unwrap();
        assert!(!stored.to_string().contains(PASSWORD), "{stored}");
    }
    let user = database.collection::<Value>("users").find_one(Default::default()).await;
    let hash = user.unwrap().unwrap()["passwordHash"].to_string();
    assert!(hash.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn a_refresh_token_is_stored_by_its_hash_alone() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let next = cookie(&auth.refresh(&token).await, "refresh");
    let sessions = auth.infra.database("auth").await.collection::<Value>("sessions");
    let stored = sessions.find_one(Default::default()).await.unwrap().unwrap().to_string();
    for token in [token, next] {
        let (_, secret) = token.split_once('.').unwrap();
        assert!(!stored.contains(secret), "{stored}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let auth = World::start().await;
    let post = |name: &'static str, value: &'static str, email: &'static str| {
        let client = auth.service.client().header(name, value);
        async move { client.post(PATH, credentials(email)).await }
    };
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:8080.evil.example"),
    ] {
        let answer = post(name, value, "kim@example.org").await;
        answer.problem(403, "cross-site");
        assert_eq!(answer.header("set-cookie"), None);
    }
    post("sec-fetch-site", "same-origin", "a@example.org").await.expect(201);
    post("sec-fetch-site", "none", "b@example.org").await.expect(201);
    post("origin", PUBLIC_URL, "c@example.org").await.expect(201);
    // What the browser itself says of the request counts for more.
    let client = auth.service.client().header("sec-fetch-site", "cross-site");
    let client = client.header("origin", PUBLIC_URL);
    client.post(PATH, credentials("d@example.org")).await.problem(403, "cross-site");
}

#[tokio::test]
async fn a_user_survives_the_service() {
    let infra = Infra::start().await;
    let first = World::on(infra).await;
    let user = first.sign_up("kim@example.org").await.expect(201);
    let World { service, infra } = first;
    service.stop().await;
    let second = World::on(infra).await;
    let answer =
        second.service.client().post("/api/users/signin", credentials("kim@example.org")).await;
    assert_eq!(answer.expect(200), user);
}
