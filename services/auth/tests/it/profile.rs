//! `PATCH /api/users/me`.

use std::time::Duration;

use common::events::{LinkPurpose, UserUpdated};
use testkit::Client;

use super::*;

const PATH: &str = "/api/users/me";
const CONFIRM: &str = "/api/users/verification/confirm";

async fn change(client: &Client, body: Value) -> Response {
    client.request(testkit::Method::PATCH, PATH).json(body).send().await
}

#[tokio::test]
async fn what_is_absent_stays_and_null_takes_away() {
    let auth = World::start().await;
    let client = auth.client_of(&auth.sign_up("kim@example.org").await);
    let body = json!({ "name": " Kim Håkansson ", "phone": "+420 777 123 456" });
    let user = change(&client, body).await.expect(200);
    assert_eq!(
        (&user["name"], &user["phone"]),
        (&json!("Kim Håkansson"), &json!("+420 777 123 456"))
    );
    let user = change(&client, json!({ "phone": null })).await.expect(200);
    assert_eq!((&user["name"], &user["phone"]), (&json!("Kim Håkansson"), &json!(null)));
    let event = auth.infra.bus().wait_for::<UserUpdated>(|event| event.0.version == 3).await.0;
    assert_eq!(event.name.as_deref(), Some("Kim Håkansson"));
    // Nothing changes, so nothing is published.
    change(&client, json!({})).await.expect(200);
    change(&client, json!({ "name": "Kim Håkansson" })).await.expect(200);
    change(&client, json!({ "name": "" })).await.expect(200);
    let event = auth.infra.bus().wait_for::<UserUpdated>(|event| event.0.name.is_none()).await.0;
    assert_eq!(event.version, 4);
}

#[tokio::test]
async fn every_violation_is_reported_and_nothing_is_changed() {
    let auth = World::start().await;
    let client = auth.client_of(&auth.sign_up("kim@example.org").await);
    let body = json!({ "name": "a\nb", "phone": "call me", "email": "kim", "password": "short" });
    let refused = change(&client, body).await;
    let fields = ["currentPassword", "email", "name", "password", "phone"];
    assert_eq!(refused.invalid_fields(), fields);
    let refused = change(&client, json!({ "email": null, "password": null })).await;
    assert_eq!(refused.invalid_fields(), ["currentPassword", "email", "password"]);
    let body = json!({ "name": "Kim", "password": "battery staple", "currentPassword": "wrong" });
    assert_eq!(change(&client, body).await.invalid_fields(), ["currentPassword"]);
    assert_eq!(client.get("/api/users/currentuser").await.body["currentUser"]["name"], json!(null));
    let nobody = auth.service.client();
    change(&nobody, json!({ "name": "Kim" })).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn another_password_ends_all_other_sessions() {
    let auth = World::start().await;
    let here = auth.sign_up("kim@example.org").await;
    let there =
        auth.service.client().post("/api/users/signin", credentials("kim@example.org")).await;
    let body = json!({ "password": "battery staple", "currentPassword": PASSWORD });
    let changed = change(&auth.client_of(&here), body.clone()).await;
    changed.expect(200);
    auth.client_of(&there).get("/api/users/sessions").await.problem(401, "not-signed-in");
    auth.refresh(&cookie(&there, "refresh")).await.problem(401, "not-signed-in");
    auth.refresh(&cookie(&here, "refresh")).await.problem(401, "not-signed-in");
    let list = auth.client_of(&changed).get("/api/users/sessions").await.expect(200);
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    auth.refresh(&cookie(&changed, "refresh")).await.expect(200);
    let again = change(&auth.client_of(&changed), body).await;
    assert_eq!(again.invalid_fields(), ["currentPassword"], "it isn't the password any more");
}

#[tokio::test]
async fn another_address_takes_effect_when_its_link_is_opened() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let (user, client) = (response.body.clone(), auth.client_of(&response));
    let body = |email: &str| json!({ "email": email, "currentPassword": PASSWORD });
    let changed = change(&client, body("Kim@new.example.org")).await.expect(200);
    assert_eq!(changed["email"], "kim@example.org");
    assert_eq!(changed["pendingEmail"], "kim@new.example.org");
    let event = auth.infra.bus().wait_for::<UserUpdated>(|_| true).await.0;
    assert_eq!(event.email, "kim@example.org");
    let link = event.links.iter().find(|link| link.purpose == LinkPurpose::EmailChange).unwrap();
    assert_eq!(link.email, "kim@new.example.org");
    change(&client, body("kim@newer.example.org")).await.problem(429, "too-many-requests");
    // The same once more, such as after a lost response: the link is on its way.
    change(&client, body("kim@new.example.org")).await.expect(200);

    let code = auth.code(&user, LinkPurpose::EmailChange).await;
    let verification = auth.code(&user, LinkPurpose::Verification).await;
    auth.post(CONFIRM, json!({ "code": code })).await.expect(204);
    auth.post(CONFIRM, json!({ "code": code })).await.problem(409, "link-invalid");
    // It was mailed to the address before.
    auth.post(CONFIRM, json!({ "code": verification })).await.problem(409, "link-invalid");
    let now = client.get("/api/users/currentuser").await.expect(200)["currentUser"].clone();
    assert_eq!(
        (&now["email"], &now["emailVerified"]),
        (&json!("kim@new.example.org"), &json!(true))
    );
    assert_eq!(now["pendingEmail"], json!(null));
    auth.post("/api/users/signin", credentials("kim@new.example.org")).await.expect(200);
    let old = auth.post("/api/users/signin", credentials("kim@example.org")).await;
    old.problem(401, "invalid-credentials");
}

#[tokio::test]
async fn a_change_to_an_address_does_not_say_whether_it_is_known() {
    let auth = World::start().await;
    auth.sign_up("taken@example.org").await;
    let response = auth.sign_up("kim@example.org").await;
    let (user, client) = (response.body.clone(), auth.client_of(&response));
    let mut answers = Vec::new();
    for email in ["taken@example.org", "free@example.org"] {
        let body = json!({ "email": email, "currentPassword": PASSWORD });
        let mut answer = change(&client, body).await.expect(200);
        assert_eq!(answer["pendingEmail"].take(), email);
        answers.push(answer);
        auth.infra.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(answers[0], answers[1]);
    // Only the owner of the mailbox learns it.
    change(&client, json!({ "email": "taken@example.org", "currentPassword": PASSWORD })).await;
    let code = auth.code(&user, LinkPurpose::EmailChange).await;
    auth.post(CONFIRM, json!({ "code": code })).await.problem(409, "email-in-use");
    let now = client.get("/api/users/currentuser").await.expect(200)["currentUser"].clone();
    assert_eq!(now["email"], "kim@example.org");
}

#[tokio::test]
async fn a_change_of_the_address_that_nobody_has_confirmed_is_over_after_a_day() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let body = json!({ "email": "new@example.org", "currentPassword": PASSWORD });
    change(&auth.client_of(&response), body).await.expect(200);
    let code = auth.code(&response.body, LinkPurpose::EmailChange).await;
    auth.infra.clock.advance(Duration::from_secs(24 * 3600));
    auth.post(CONFIRM, json!({ "code": code })).await.problem(409, "link-invalid");
    let refreshed = auth.refresh(&cookie(&response, "refresh")).await;
    let client = auth.client_of(&refreshed);
    let now = client.get("/api/users/currentuser").await.expect(200)["currentUser"].clone();
    assert_eq!((&now["email"], &now["pendingEmail"]), (&json!("kim@example.org"), &json!(null)));
}

/// Two users want one address: the unique index admits one.
#[tokio::test]
async fn of_two_changes_to_one_address_one_succeeds() {
    let auth = World::start().await;
    let mut codes = Vec::new();
    for email in ["kim@example.org", "eve@example.org"] {
        let response = auth.sign_up(email).await;
        let body = json!({ "email": "wanted@example.org", "currentPassword": PASSWORD });
        change(&auth.client_of(&response), body).await.expect(200);
        codes.push(auth.code(&response.body, LinkPurpose::EmailChange).await);
    }
    let open = |code: &String| {
        let body = json!({ "code": code });
        async { auth.post(CONFIRM, body).await.status.as_u16() }
    };
    let (one, other) = tokio::join!(open(&codes[0]), open(&codes[1]));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}

/// Somebody who knows the password has asked for another address: its owner changes the password in time.
#[tokio::test]
async fn another_password_ends_a_change_of_the_address() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let (user, client) = (response.body.clone(), auth.client_of(&response));
    let body = json!({ "email": "eve@example.org", "currentPassword": PASSWORD });
    change(&client, body).await.expect(200);
    let code = auth.code(&user, LinkPurpose::EmailChange).await;
    let body = json!({ "password": "battery staple", "currentPassword": PASSWORD });
    change(&client, body).await.expect(200);
    auth.post(CONFIRM, json!({ "code": code })).await.problem(409, "link-invalid");
}
