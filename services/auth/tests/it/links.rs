//! The links that users are mailed: to confirm an address, to another password, to disown an account.

use std::time::Duration;

use account_links::LinkKeys;
use bson::{Document, doc};
use common::events::{AccountLink, LinkPurpose, UserCreated, UserStatus, UserUpdated};
use futures::future::join_all;
use testkit::eventually;

use super::*;

const CONFIRM: &str = "/api/users/verification/confirm";
const RECOVER: &str = "/api/users/recovery/confirm";
const DISOWN: &str = "/api/users/disown";
const NEW_PASSWORD: &str = "battery staple";

impl World {
    pub fn link_keys(&self) -> LinkKeys {
        LinkKeys::from_file(&self.infra.link_key_file()).unwrap()
    }

    /// The code of a user's outstanding link, as its mail has it.
    pub async fn code(&self, user: &Value, purpose: LinkPurpose) -> String {
        let link = self.link(user, purpose).await.unwrap_or_else(|| panic!("no {purpose:?}"));
        self.code_of(user, &link)
    }

    pub fn code_of(&self, user: &Value, link: &AccountLink) -> String {
        let id = user["id"].as_str().unwrap().parse().unwrap();
        self.link_keys().code(link.purpose, id, &link.nonce).unwrap().to_string()
    }

    pub async fn link(&self, user: &Value, purpose: LinkPurpose) -> Option<AccountLink> {
        let stored = self.stored(user).await;
        let links: Vec<AccountLink> =
            bson::deserialize_from_bson(stored.get("links").unwrap().clone()).unwrap();
        links.into_iter().find(|link| link.purpose == purpose)
    }

    pub async fn stored(&self, user: &Value) -> Document {
        let users = self.infra.database("auth").await.collection::<Document>("users");
        users.find_one(doc! { "_id": user["id"].as_str().unwrap() }).await.unwrap().unwrap()
    }

    /// Asks for a link to another password, and waits until it is issued.
    pub async fn recovery_code(&self, user: &Value) -> String {
        let before = self.link(user, LinkPurpose::Recovery).await;
        let body = json!({ "email": user["email"] });
        self.service.client().post("/api/users/recovery", body).await.expect(202);
        let link = eventually("the link", || async {
            self.link(user, LinkPurpose::Recovery).await.filter(|it| Some(it) != before.as_ref())
        });
        self.code_of(user, &link.await)
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.service.client().post(path, body).await
    }

    pub async fn no_recovery_is_pending(&self) {
        let requests = self.infra.database("auth").await.collection::<Document>("recoveries");
        eventually("every request to be handled", || async {
            (requests.count_documents(doc! {}).await.unwrap() == 0).then_some(())
        })
        .await;
    }
}

fn with_code(code: &str) -> Value {
    json!({ "code": code })
}

fn with_password(code: &str) -> Value {
    json!({ "code": code, "password": NEW_PASSWORD })
}

fn credentials_of(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

#[tokio::test]
async fn the_link_of_the_welcome_confirms_the_address_once() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let user = response.body.clone();
    let event = auth.infra.bus().wait_for::<UserCreated>(|_| true).await.0;
    assert!(!event.email_verified && event.links.iter().all(|link| link.at_sign_up));
    assert_eq!(event.links.len(), 2);
    let code = auth.code(&user, LinkPurpose::Verification).await;
    auth.post(CONFIRM, with_code(&code)).await.expect(204);
    auth.post(CONFIRM, with_code(&code)).await.problem(409, "link-invalid");
    let updated = auth.infra.bus().wait_for::<UserUpdated>(|_| true).await.0;
    assert!(updated.email_verified && updated.links.is_empty());

    // The session says so after its next refresh.
    let refreshed = auth.refresh(&cookie(&response, "refresh")).await;
    assert_eq!(refreshed.expect(200)["emailVerified"], true);
    let verifier = auth.infra.verifier();
    assert!(!verifier.verify(&cookie(&response, "session")).unwrap().verified);
    assert!(verifier.verify(&cookie(&refreshed, "session")).unwrap().verified);
    let again = auth.client_of(&refreshed).post("/api/users/verification", json!({})).await;
    again.problem(409, "already-verified");
}

#[tokio::test]
async fn of_a_link_that_is_opened_twice_at_once_one_succeeds() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.body;
    let code = auth.code(&user, LinkPurpose::Verification).await;
    let opened = join_all((0..8).map(|_| auth.post(CONFIRM, with_code(&code)))).await;
    let count = |status: u16| opened.iter().filter(|it| it.status == status).count();
    assert_eq!((count(204), count(409)), (1, 7));
    let code = auth.recovery_code(&user).await;
    let opened = join_all((0..4).map(|_| auth.post(RECOVER, with_password(&code)))).await;
    let count = |status: u16| opened.iter().filter(|it| it.status == status).count();
    assert_eq!((count(200), count(409)), (1, 3));
}

#[tokio::test]
async fn a_link_is_replaced_by_a_newer_one_of_its_purpose_and_ends() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let (user, client) = (response.body.clone(), auth.client_of(&response));
    let first = auth.code(&user, LinkPurpose::Verification).await;
    let disown = auth.code(&user, LinkPurpose::Disown).await;
    let early = client.post("/api/users/verification", json!({})).await;
    early.problem(429, "too-many-requests");
    assert_eq!(early.header("retry-after"), Some("60"));
    auth.infra.clock.advance(Duration::from_secs(60));
    client.post("/api/users/verification", json!({})).await.expect(202);
    auth.post(CONFIRM, with_code(&first)).await.problem(409, "link-invalid");
    let second = auth.code(&user, LinkPurpose::Verification).await;
    assert!(second != first);
    // Links of other purposes go on.
    assert_eq!(auth.code(&user, LinkPurpose::Disown).await, disown);
    let recovery = auth.recovery_code(&user).await;
    auth.infra.clock.advance(Duration::from_secs(3600));
    auth.post(RECOVER, with_password(&recovery)).await.problem(409, "link-invalid");
    auth.infra.clock.advance(Duration::from_secs(3 * 24 * 3600 - 3600));
    auth.post(CONFIRM, with_code(&second)).await.problem(409, "link-invalid");
}

#[tokio::test]
async fn a_code_opens_the_links_of_its_own_purpose_and_user_alone() {
    let auth = World::start().await;
    let kim = auth.sign_up("kim@example.org").await.body;
    let eve = auth.sign_up("eve@example.org").await.body;
    let recovery = auth.recovery_code(&kim).await;
    let verification = auth.code(&kim, LinkPurpose::Verification).await;
    let disown = auth.code(&kim, LinkPurpose::Disown).await;
    let of_eve = auth.code_of(&eve, &auth.link(&kim, LinkPurpose::Recovery).await.unwrap());
    let last = if recovery.ends_with('A') { "B" } else { "A" };
    let changed = format!("{}{last}", &recovery[..63]);
    for code in [verification.as_str(), &disown, &of_eve, &changed, "", "x", &recovery[1..]] {
        auth.post(RECOVER, with_password(code)).await.problem(409, "link-invalid");
    }
    for code in [&recovery, &disown] {
        auth.post(CONFIRM, with_code(code)).await.problem(409, "link-invalid");
    }
    for code in [&recovery, &verification] {
        auth.post(DISOWN, with_code(code)).await.problem(409, "link-invalid");
    }
    auth.post(RECOVER, with_password(&recovery)).await.expect(200);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_and_every_session_ends() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let user = response.body.clone();
    let code = auth.recovery_code(&user).await;
    let weak = auth.post(RECOVER, json!({ "code": code, "password": "short" })).await;
    assert_eq!(weak.invalid_fields(), ["password"]);
    let recovered = auth.post(RECOVER, with_password(&code)).await;
    assert_eq!(recovered.expect(200)["emailVerified"], true, "the link has reached its owner");
    auth.client_of(&response).get("/api/users/sessions").await.problem(401, "not-signed-in");
    auth.refresh(&cookie(&response, "refresh")).await.problem(401, "not-signed-in");
    let list = auth.client_of(&recovered).get("/api/users/sessions").await.expect(200);
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    let path = "/api/users/signin";
    auth.post(path, credentials("kim@example.org")).await.problem(401, "invalid-credentials");
    auth.post(path, credentials_of("kim@example.org", NEW_PASSWORD)).await.expect(200);
    let event = auth.infra.bus().wait_for::<UserUpdated>(|it| it.0.session_generation == 1).await;
    assert!(event.0.password_change.is_some() && event.0.links.is_empty());
}

/// The ban came after the mail.
#[tokio::test]
async fn a_banned_user_gets_the_reason_and_no_session() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.body;
    let code = auth.recovery_code(&user).await;
    let admin = auth.service.client_as(&auth.infra.admin());
    let path = format!("/api/users/{}/ban", user["id"].as_str().unwrap());
    admin.put(&path, json!({ "reason": "Fraud" })).await.expect(200);
    let refused = auth.post(RECOVER, with_password(&code)).await;
    assert!(refused.problem(403, "account-banned")["detail"].to_string().contains("Fraud"));
    assert_eq!(refused.header("set-cookie"), None);
}

#[tokio::test]
async fn a_request_for_another_password_does_not_say_whether_the_address_is_known() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.body;
    let banned = auth.sign_up("banned@example.org").await.body;
    let admin = auth.service.client_as(&auth.infra.admin());
    let path = format!("/api/users/{}/ban", banned["id"].as_str().unwrap());
    admin.put(&path, json!({ "reason": "Fraud" })).await.expect(200);
    let mut seen = Vec::new();
    for email in ["kim@example.org", "nobody@example.org", "banned@example.org"] {
        let response = auth.post("/api/users/recovery", json!({ "email": email })).await;
        let headers = ["set-cookie", "content-type", "cache-control", "content-length"]
            .map(|name| response.header(name).map(str::to_owned));
        seen.push((response.status, response.body, headers));
    }
    assert_eq!(seen[0].0, 202);
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    auth.no_recovery_is_pending().await;
    assert!(auth.link(&user, LinkPurpose::Recovery).await.is_some());
    assert!(auth.link(&banned, LinkPurpose::Recovery).await.is_none());
    let invalid = auth.post("/api/users/recovery", json!({ "email": "kim" })).await;
    assert_eq!(invalid.invalid_fields(), ["email"]);
}

#[tokio::test]
async fn several_requests_for_one_address_lead_to_one_link() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.body;
    let code = auth.recovery_code(&user).await;
    let again =
        async || auth.post("/api/users/recovery", json!({ "email": "KIM@example.org" })).await;
    again().await.expect(202);
    again().await.expect(202);
    // Nobody's mailbox is filled.
    again().await.problem(429, "too-many-requests");
    auth.no_recovery_is_pending().await;
    assert_eq!(auth.code(&user, LinkPurpose::Recovery).await, code);
}

/// As when the process dies after its response: another one issues the link.
#[tokio::test]
async fn a_request_that_was_stored_is_handled_after_a_restart() {
    let World { service, infra } = World::start().await;
    let user = service.client().post("/api/users/signup", credentials("kim@example.org")).await;
    service.stop().await;
    let requests = infra.database("auth").await.collection::<Document>("recoveries");
    let request = doc! { "_id": "kim@example.org", "spellings": ["kim@example.org"] };
    requests.insert_one(request).await.unwrap();
    let auth = World::on(infra).await;
    eventually("the link", || async { auth.link(&user.body, LinkPurpose::Recovery).await }).await;
    auth.no_recovery_is_pending().await;
}

#[tokio::test]
async fn an_account_of_somebody_elses_address_is_closed_by_its_owner() {
    let auth = World::start().await;
    let response = auth.sign_up("victim@example.org").await;
    let user = response.body.clone();
    let code = auth.code(&user, LinkPurpose::Disown).await;
    auth.infra.clock.advance(Duration::from_secs(60 * 24 * 3600));
    auth.post(DISOWN, with_code(&code)).await.expect(204);
    auth.post(DISOWN, with_code(&code)).await.problem(409, "link-invalid");
    auth.client_of(&response).get("/api/users/sessions").await.problem(401, "not-signed-in");
    auth.refresh(&cookie(&response, "refresh")).await.problem(401, "not-signed-in");
    let path = "/api/users/signin";
    auth.post(path, credentials("victim@example.org")).await.problem(401, "invalid-credentials");
    let event = auth.infra.bus().wait_for::<UserUpdated>(|_| true).await.0;
    assert_eq!((event.status, event.session_generation), (UserStatus::Closed, 1));
    assert!(event.ban.is_some_and(|ban| !ban.refund) && event.email != "victim@example.org");
    // Nobody opens it again, and its address is its owner's.
    let admin = auth.service.client_as(&auth.infra.admin());
    let path = format!("/api/users/{}/ban", user["id"].as_str().unwrap());
    let banned = admin.put(&path, json!({ "reason": "Fraud" })).await.expect(200);
    assert_eq!(banned["status"], "closed");
    assert_eq!(admin.delete(&path).await.expect(200)["status"], "closed");
    auth.sign_up("victim@example.org").await;
}

#[tokio::test]
async fn a_confirmed_account_is_not_disowned() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.body;
    let disown = auth.code(&user, LinkPurpose::Disown).await;
    let verification = auth.code(&user, LinkPurpose::Verification).await;
    auth.post(CONFIRM, with_code(&verification)).await.expect(204);
    auth.post(DISOWN, with_code(&disown)).await.problem(409, "link-invalid");
}

#[tokio::test]
async fn the_links_of_a_key_that_was_rotated_go_on_until_it_is_taken_away() {
    let World { service, infra } = World::start().await;
    let user = service.client().post("/api/users/signup", credentials("kim@example.org")).await;
    let file = infra.link_key_file();
    let auth = World { service, infra };
    let code = auth.code(&user.body, LinkPurpose::Verification).await;
    let World { service, infra } = auth;
    service.stop().await;
    let old = std::fs::read_to_string(&file).unwrap();
    let new = account_links::generate([7; 32]);
    std::fs::write(&file, format!("{new}{old}")).unwrap();
    let other = replica(&infra).await;
    std::fs::write(&file, new).unwrap();
    let without = replica(&infra).await;
    let refused = without.client().post(CONFIRM, with_code(&code)).await;
    refused.problem(409, "link-invalid");
    other.client().post(CONFIRM, with_code(&code)).await.expect(204);
}

/// An account of the version before has no links, and isn't confirmed.
#[tokio::test]
async fn an_account_of_the_version_before_confirms_its_address() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let users = auth.infra.database("auth").await.collection::<Document>("users");
    let unset = doc! { "links": "", "emailVerified": "", "passwordChange": "", "closedAt": "" };
    users.update_many(doc! {}, doc! { "$unset": unset }).await.unwrap();
    auth.client_of(&response).post("/api/users/verification", json!({})).await.expect(202);
    assert!(auth.link(&response.body, LinkPurpose::Disown).await.is_some());
    let code = auth.code(&response.body, LinkPurpose::Verification).await;
    auth.post(CONFIRM, with_code(&code)).await.expect(204);
}
