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
    let response = auth.service.client().post(PATH, body).await;
    let user = response.expect(201);
    assert_eq!(
        user,
        json!({
            "id": user["id"], "email": "kim@example.org", "emailVerified": false,
            "name": "Kim Håkansson", "phone": "+49 (0)30 / 123-45.67",
        })
    );
    assert_eq!(response.header("location"), Some("/api/users/currentuser"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(auth.current_user(&cookie(&response, "session")).await, user);

    let url = PUBLIC_URL.parse().unwrap();
    let key = auth.infra.public_key_file();
    let verifier = Verifier::from_file(&key, &url, auth.infra.clock.clone()).unwrap();
    let claims = verifier.verify(&cookie(&response, "session")).unwrap();
    assert_eq!(json!(claims.id), user["id"]);
    assert!(!claims.is_admin(), "a sign-up never makes an admin");
}

#[tokio::test]
async fn an_idempotency_key_is_ignored() {
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
async fn name_and_phone_may_be_omitted_or_empty() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.expect(201);
    assert_eq!(
        user,
        json!({ "id": user["id"], "email": "kim@example.org", "emailVerified": false })
    );

    for (email, blank) in [("a@example.org", json!("")), ("b@example.org", Value::Null)] {
        let body = json!({ "email": email, "password": PASSWORD, "name": blank, "phone": blank });
        let user = auth.service.client().post(PATH, body).await.expect(201);
        assert_eq!(user, json!({ "id": user["id"], "email": email, "emailVerified": false }));
    }
}

#[tokio::test]
async fn the_cookies_are_inaccessible_to_scripts_and_other_sites() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    for (name, seconds) in [("session", 900), ("refresh", 2_592_000)] {
        let cookie = response.set_cookie(name).unwrap();
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
    let response = auth.service.client().post(PATH, body).await;
    response.expect(201);
    for name in ["__Host-session", "__Host-refresh"] {
        let cookie = response.set_cookie(name).unwrap();
        assert!(cookie.contains("Secure") && cookie.contains("Path=/"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let refresh = cookie(&response, "__Host-refresh");
    let client = auth.service.client().cookie("__Host-refresh", &refresh);
    client.post("/api/users/refresh", json!({})).await.expect(200);
    // A cookie of the plain name may have been set over http, or by a sibling domain.
    let client = auth.service.client().cookie("refresh", &refresh);
    client.post("/api/users/refresh", json!({})).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn every_violation_is_reported() {
    let auth = World::start().await;
    let body = json!({ "email": "kim", "password": "short", "name": "a\nb", "phone": "call me" });
    let response = auth.service.client().post(PATH, body).await;
    assert_eq!(response.invalid_fields(), ["email", "name", "password", "phone"]);
    assert_eq!(response.header("set-cookie"), None);

    let body = json!({
        "email": "kim@example.org", "password": PASSWORD, "name": format!("\t{}", "x".repeat(100)),
    });
    let response = auth.service.client().post(PATH, body).await;
    assert_eq!(response.invalid_fields(), ["name", "name"]);
}

#[tokio::test]
async fn a_name_shows_what_it_is() {
    let auth = World::start().await;
    let sign_up = async |number: usize, name: &str, phone: &str| {
        let email = format!("kim{number}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "name": name, "phone": phone });
        auth.service.client().post(PATH, body).await
    };
    let hiding =
        ["a\u{202E}b", "\u{2067}a", "a\u{200B}b", "a\u{FEFF}b", "a\u{200F}b", "a\u{2028}b"];
    for (number, text) in hiding.into_iter().enumerate() {
        let response = sign_up(number, text, text).await;
        assert_eq!(response.invalid_fields(), ["name", "phone"], "{text:?}");
    }
    let phone = sign_up(9, "Kim", "+420\u{200B}777 123 456").await;
    assert_eq!(phone.invalid_fields(), ["phone"]);
    for (number, blank) in
        ["\u{3164}", "\u{115F}\u{200B}", "\u{2800}", "\u{FFA0}"].iter().enumerate()
    {
        let user = sign_up(20 + number, blank, blank).await.expect(201);
        assert_eq!((&user["name"], &user["phone"]), (&json!(null), &json!(null)), "{blank:?}");
    }
    let user = sign_up(30, " می\u{200C}خواهم ", "").await.expect(201);
    assert_eq!(user["name"], "می\u{200C}خواهم");
}

#[tokio::test]
async fn a_password_has_8_to_128_characters_of_any_kind() {
    let auth = World::start().await;
    let passwords =
        ["1234567".to_owned(), "x".repeat(129), "🎫".repeat(7), "🎫".repeat(129), String::new()];
    for password in passwords {
        let body = json!({ "email": "kim@example.org", "password": password });
        let response = auth.service.client().post(PATH, body).await;
        assert_eq!(response.invalid_fields(), ["password"], "{password}");
    }
    let good = ["12345678".to_owned(), "x".repeat(128), "🎫".repeat(8), "🎫".repeat(128)];
    for (index, password) in good.into_iter().enumerate() {
        let body = json!({ "email": format!("kim{index}@example.org"), "password": password });
        auth.service.client().post(PATH, body.clone()).await.expect(201);
        auth.service.client().post("/api/users/signin", body).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_reported_as_invalid() {
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
        let response = auth.service.client().post(PATH, body.clone()).await;
        assert_eq!(response.invalid_fields(), fields, "{body}");
    }
    auth.service.client().post(PATH, json!([])).await.problem(400, "invalid");
    auth.service.stop().await;
    assert!(auth.infra.bus().published::<UserCreated>().await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_json_is_reported_as_malformed() {
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
async fn only_post_is_allowed() {
    let auth = World::start().await;
    let response = auth.service.client().get(PATH).await;
    response.problem(405, "method-not-allowed");
    assert_eq!(response.header("allow"), Some("POST"));
    auth.service.client().get("/api/users/signup/nobody").await.problem(404, "not-found");
}

#[tokio::test]
async fn an_address_is_used_once_whatever_its_spelling() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    for email in ["kim@example.org", "KIM@EXAMPLE.ORG", "\tkim@example.org "] {
        let response = auth.service.client().post(PATH, credentials(email)).await;
        response.problem(409, "email-in-use");
        assert_eq!(response.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn of_twenty_concurrent_sign_ups_with_one_address_exactly_one_succeeds() {
    let auth = World::start().await;
    let responses =
        join_all((0..20).map(|_| async {
            auth.service.client().post(PATH, credentials("kim@example.org")).await
        }))
        .await;
    let created = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(created, 1);
    for response in responses.iter().filter(|response| response.status != 201) {
        response.problem(409, "email-in-use");
    }
}

/// The control run of the test above: only the index prevents duplicates.
#[tokio::test]
async fn without_the_unique_index_two_users_get_one_address() {
    let auth = World::start().await;
    let users =
        auth.infra.database("auth").await.collection::<common::events::UserCreated>("users");
    users.drop_index("email").await.unwrap();
    let responses =
        join_all((0..2).map(|_| async {
            auth.service.client().post(PATH, credentials("kim@example.org")).await
        }))
        .await;
    let ids: BTreeSet<_> =
        responses.iter().map(|response| response.expect(201)["id"].to_string()).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn user_created_is_published_once() {
    let auth = World::start().await;
    let body = json!({ "email": "kim@example.org", "password": PASSWORD, "name": "Kim" });
    let user = auth.service.client().post(PATH, body.clone()).await.expect(201);
    auth.service.client().post(PATH, body).await.problem(409, "email-in-use");
    // The relay publishes pending events before it stops.
    auth.service.stop().await;

    let id: UserId = user["id"].as_str().unwrap().parse().unwrap();
    let published = auth.infra.bus().published::<UserCreated>().await;
    let expected = common::events::User {
        id,
        email: "kim@example.org".to_owned(),
        email_verified: false,
        name: Some("Kim".to_owned()),
        status: UserStatus::Active,
        links: published[0].0.links.clone(),
        password_change: None,
        ban: None,
        session_generation: 0,
        version: 1,
    };
    assert_eq!(published, [UserCreated(expected)]);
    let headers = &auth.infra.bus().headers::<UserCreated>().await[0];
    assert_eq!(headers["ce-type"], "user.created");
    assert_eq!(headers["ce-id"], format!("user.created:{id}:1"));
    assert_eq!(headers["ce-source"], "/services/auth");
    assert_eq!(headers["ce-subject"], id.to_string());
}

#[tokio::test]
async fn a_sign_up_while_the_broker_is_down_succeeds_and_is_published_later() {
    let auth = World::start().await;
    auth.infra.nats.kill();
    let user = auth.sign_up("kim@example.org").await.expect(201);
    auth.infra.nats.restart().await;
    auth.infra.bus().wait_for::<UserCreated>(|event| json!(event.0.id) == user["id"]).await;
}

#[tokio::test]
async fn a_password_is_stored_only_as_an_argon2id_hash() {
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
async fn a_refresh_token_is_stored_only_as_a_hash() {
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
async fn a_cross_site_form_is_refused() {
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
        let response = post(name, value, "kim@example.org").await;
        response.problem(403, "cross-site");
        assert_eq!(response.header("set-cookie"), None);
    }
    post("sec-fetch-site", "same-origin", "a@example.org").await.expect(201);
    post("sec-fetch-site", "none", "b@example.org").await.expect(201);
    post("origin", PUBLIC_URL, "c@example.org").await.expect(201);
    // Sec-Fetch-Site takes precedence over Origin.
    let client = auth.service.client().header("sec-fetch-site", "cross-site");
    let client = client.header("origin", PUBLIC_URL);
    client.post(PATH, credentials("d@example.org")).await.problem(403, "cross-site");
}

#[tokio::test]
async fn a_user_persists_across_a_restart() {
    let infra = Infra::start().await;
    let first = World::on(infra).await;
    let user = first.sign_up("kim@example.org").await.expect(201);
    let World { service, infra } = first;
    service.stop().await;
    let second = World::on(infra).await;
    let response =
        second.service.client().post("/api/users/signin", credentials("kim@example.org")).await;
    assert_eq!(response.expect(200), user);
}
