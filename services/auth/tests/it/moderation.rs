//! What administrators do: find a user, ban them, lift that, groups, and the log of it.

use common::events::{UserStatus, UserUpdated};
use testkit::{Client, TestUser, eventually};

use super::*;

const USERS: &str = "/api/users";

/// An account, its session token, and what the other services know.
async fn account(auth: &World, email: &str) -> (Value, Client, String) {
    let response = auth.sign_up(email).await;
    let client = auth.service.client().cookie("session", &cookie(&response, "session"));
    (response.body.clone(), client, cookie(&response, "refresh"))
}

fn admin(auth: &World) -> (TestUser, Client) {
    let admin = auth.infra.admin();
    (admin.clone(), auth.service.client_as(&admin))
}

fn path(user: &Value, rest: &str) -> String {
    format!("{USERS}/{}{rest}", user["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn an_administrator_finds_a_user_by_their_address_or_id() {
    let auth = World::start().await;
    let (user, ..) = account(&auth, "kim@example.org").await;
    let (_, admin) = admin(&auth);
    let found = admin.get("/api/users?email=%20KIM@example.org").await.expect(200);
    let account = &found["users"][0];
    assert_eq!(account["id"], user["id"]);
    assert_eq!(account["status"], "active");
    assert_eq!(account["groups"], json!([]));
    assert_eq!(account["audit"], json!([]));
    assert_eq!(account.get("passwordHash"), None);
    assert_eq!(admin.get(&path(&user, "")).await.expect(200), *account);
    let none = admin.get("/api/users?email=nobody@example.org").await.expect(200);
    assert_eq!(none, json!({ "users": [] }));
    for query in ["", "?email=", "?email=kim"] {
        let refused = admin.get(&format!("{USERS}{query}")).await;
        refused.problem(400, "invalid");
        assert_eq!(refused.invalid_fields(), ["email"]);
    }
    let unknown = common::ids::UserId::new(auth.infra.clock.now());
    for id in ["1", &unknown.to_string()] {
        admin.get(&format!("{USERS}/{id}")).await.problem(404, "not-found");
        let ban = json!({ "reason": "Fraud" });
        admin.put(&format!("{USERS}/{id}/ban"), ban).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn nobody_else_may_do_any_of_it_and_no_administrator_to_themselves() {
    let auth = World::start().await;
    let (user, own, _) = account(&auth, "kim@example.org").await;
    let (_, other, _) = account(&auth, "eve@example.org").await;
    let ban = json!({ "reason": "Fraud" });
    let (of_user, group) = (path(&user, "/ban"), path(&user, "/groups/admin"));
    let nobody = auth.service.client();
    for (client, status, problem) in
        [(&nobody, 401, "not-signed-in"), (&own, 403, "not-allowed"), (&other, 403, "not-allowed")]
    {
        for address in ["/api/users?email=kim@example.org", "/api/users/audit", &path(&user, "")] {
            client.get(address).await.problem(status, problem);
        }
        client.put(&of_user, ban.clone()).await.problem(status, problem);
        client.delete(&of_user).await.problem(status, problem);
        client.put(&group, json!({})).await.problem(status, problem);
        client.delete(&group).await.problem(status, problem);
    }
    let (me, client) = admin(&auth);
    for rest in ["ban", "groups/admin"] {
        let own = format!("{USERS}/{}/{rest}", me.id);
        client.put(&own, ban.clone()).await.problem(403, "not-allowed");
        client.delete(&own).await.problem(403, "not-allowed");
    }
    let cross_site = client.header("sec-fetch-site", "cross-site");
    cross_site.put(&of_user, ban).await.problem(403, "cross-site");
    assert!(auth.infra.bus().published::<UserUpdated>().await.is_empty());
}

#[tokio::test]
async fn a_banned_user_is_out_until_the_ban_is_lifted() {
    let auth = World::start().await;
    let (user, client, refresh) = account(&auth, "kim@example.org").await;
    let (admin_user, admin) = admin(&auth);
    let ban = json!({ "reason": "Sold the same seat twice", "refund": true });
    let banned = admin.put(&path(&user, "/ban"), ban.clone()).await.expect(200);
    assert_eq!(banned["status"], "banned");
    assert_eq!(banned["ban"]["reason"], "Sold the same seat twice");
    client.get("/api/users/sessions").await.problem(401, "not-signed-in");
    auth.refresh(&refresh).await.problem(401, "not-signed-in");
    let sign_in = async || {
        auth.service.client().post("/api/users/signin", credentials("kim@example.org")).await
    };
    let refused = sign_in().await.problem(403, "account-banned");
    assert!(refused["detail"].as_str().unwrap().contains("Sold the same seat twice"));
    let wrong = json!({ "email": "kim@example.org", "password": "something else" });
    let guess = auth.service.client().post("/api/users/signin", wrong).await;
    guess.problem(401, "invalid-credentials");
    let again = credentials("kim@example.org");
    let again = auth.service.client().post("/api/users/signup", again).await;
    again.problem(409, "email-in-use");
    let event = auth.infra.bus().wait_for::<UserUpdated>(|_| true).await.0;
    assert_eq!((event.status, event.session_generation), (UserStatus::Banned, 1));
    assert!(event.ban.unwrap().refund);

    // Once more is no other act; with another choice it is.
    assert_eq!(admin.put(&path(&user, "/ban"), ban).await.expect(200), banned);
    let other = json!({ "reason": "Sold the same seat twice", "refund": false });
    admin.put(&path(&user, "/ban"), other).await.expect(200);

    for _ in 0..2 {
        let unbanned = admin.delete(&path(&user, "/ban")).await.expect(200);
        assert_eq!((&unbanned["status"], unbanned.get("ban")), (&json!("active"), None));
        let acts: Vec<_> = unbanned["audit"].as_array().unwrap().iter().collect();
        let names: Vec<_> = acts.iter().map(|act| act["act"].as_str().unwrap()).collect();
        assert_eq!(names, ["banned", "banned", "unbanned"]);
        assert!(acts.iter().all(|act| act["by"] == json!(admin_user.id)));
    }
    client.get("/api/users/sessions").await.problem(401, "not-signed-in");
    auth.refresh(&refresh).await.problem(401, "not-signed-in");
    sign_in().await.expect(200);
    let log = admin.get("/api/users/audit").await.expect(200);
    let log: Vec<_> = log["entries"].as_array().unwrap().iter().map(|it| &it["act"]).collect();
    assert_eq!(log.len(), 3);
}

#[tokio::test]
async fn a_ban_needs_a_reason() {
    let auth = World::start().await;
    let (user, ..) = account(&auth, "kim@example.org").await;
    let (_, admin) = admin(&auth);
    for reason in [json!({}), json!({ "reason": " " }), json!({ "reason": "x".repeat(501) })] {
        let refused = admin.put(&path(&user, "/ban"), reason).await;
        refused.problem(400, "invalid");
        assert_eq!(refused.invalid_fields(), ["reason"]);
    }
    assert!(auth.infra.bus().published::<UserUpdated>().await.is_empty());
}

/// Whichever is first: who is banned meanwhile isn't signed in.
#[tokio::test]
async fn a_ban_and_a_sign_in_at_the_same_time_leave_no_live_session() {
    let auth = World::start().await;
    let (user, ..) = account(&auth, "kim@example.org").await;
    let (_, admin) = admin(&auth);
    let sign_in = || async {
        auth.service.client().post("/api/users/signin", credentials("kim@example.org")).await
    };
    let ban =
        async { admin.put(&path(&user, "/ban"), json!({ "reason": "Fraud" })).await.expect(200) };
    let (_, signed) = tokio::join!(ban, futures::future::join_all((0..6).map(|_| sign_in())));
    for response in signed {
        if let Some(token) = response.cookie("refresh") {
            auth.refresh(token).await.problem(401, "not-signed-in");
            let client = auth.service.client().cookie("session", &cookie(&response, "session"));
            client.get("/api/users/sessions").await.problem(401, "not-signed-in");
        }
    }
}

#[tokio::test]
async fn a_member_of_a_group_has_it_from_their_next_session_on_and_loses_it_at_once() {
    let auth = World::start().await;
    let (user, client, refresh) = account(&auth, "kim@example.org").await;
    let (_, admin) = admin(&auth);
    let group = path(&user, "/groups/admin");
    for _ in 0..2 {
        let member = admin.put(&group, json!({})).await.expect(200);
        assert_eq!(member["groups"], json!(["admin"]));
        assert_eq!(member["audit"].as_array().unwrap().len(), 1);
    }
    client.get("/api/users/audit").await.problem(403, "not-allowed");
    let next = auth.refresh(&refresh).await;
    let member = auth.service.client().cookie("session", &cookie(&next, "session"));
    member.get("/api/users/audit").await.expect(200);

    admin.delete(&group).await.expect(200);
    member.get("/api/users/audit").await.problem(401, "not-signed-in");
    admin.put(&path(&user, "/groups/editors"), json!({})).await.problem(404, "not-found");
}

#[tokio::test]
async fn the_first_administrator_is_named_by_a_setting_once_the_account_exists() {
    let auth = World::start().await;
    let start = async || {
        let mut args = args(&auth.infra).await;
        args.extend(["--admin-email".to_owned(), " KIM@example.org".to_owned()]);
        let service = Auth::build(Settings::parse_from(args), auth.infra.clock.clone()).await;
        TestService::serve(service.unwrap()).await
    };
    let before = start().await;
    let (_, client, refresh) = account(&auth, "kim@example.org").await;
    client.get("/api/users/audit").await.problem(403, "not-allowed");
    drop(before);
    for _ in 0..2 {
        let service = start().await;
        let next = super::refresh(&service, &refresh).await;
        next.expect(200);
        let client = service.client().cookie("session", &cookie(&next, "session"));
        let log = client.get("/api/users/audit").await.expect(200);
        assert_eq!(log["entries"].as_array().unwrap().len(), 1);
        assert_eq!(log["entries"][0].get("by"), None);
    }
}

/// What an administrator writes is between them and the user.
#[tokio::test]
async fn the_reason_is_in_no_event() {
    let auth = World::start().await;
    let (user, ..) = account(&auth, "kim@example.org").await;
    let (_, admin) = admin(&auth);
    let ban = json!({ "reason": "A secret reason" });
    admin.put(&path(&user, "/ban"), ban).await.expect(200);
    let event = auth.infra.bus().wait_for::<UserUpdated>(|_| true).await;
    assert!(!json!(event).to_string().contains("secret"));
    eventually("the outbox to be empty", || async {
        let users = auth.infra.database("auth").await.collection::<bson::Document>("users");
        let pending = bson::doc! { "outboxPending": true };
        (users.count_documents(pending).await.unwrap() == 0).then_some(())
    })
    .await;
}
