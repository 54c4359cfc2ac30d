//! Where a user is signed in, and the end of it: here, and as other services receive it.

use std::time::Duration;

use common::events::{Stream, UserSessionEnded, UserUpdated};
use futures::future::join_all;
use testkit::{Client, eventually};

use super::*;

const PATH: &str = "/api/users/sessions";

async fn list(client: &Client) -> Vec<Value> {
    client.get(PATH).await.expect(200)["sessions"].as_array().expect("a list").clone()
}

async fn sign_in(auth: &World, email: &str) -> Response {
    let response = auth.service.client().post("/api/users/signin", credentials(email)).await;
    response.expect(200);
    response
}

impl World {
    pub fn client_of(&self, response: &Response) -> Client {
        self.service.client().cookie("session", &cookie(response, "session"))
    }
}

#[tokio::test]
async fn a_user_sees_where_they_are_signed_in_and_nobody_else_does() {
    let auth = World::start().await;
    let began = auth.infra.clock.now();
    let client = auth.service.client();
    let phone = client.header("user-agent", "Phone/1.0").header("x-forwarded-for", "203.0.113.7");
    let signed_up = phone.post("/api/users/signup", credentials("kim@example.org")).await;
    signed_up.expect(201);
    auth.infra.clock.advance(Duration::from_secs(60));
    let laptop = sign_in(&auth, "kim@example.org").await;
    auth.sign_up("other@example.org").await;

    let sessions = list(&auth.client_of(&laptop)).await;
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["current"], true);
    let first = &sessions[1];
    assert_eq!(first["current"], false);
    assert_eq!(first["userAgent"], "Phone/1.0");
    assert_eq!(first["address"], "203.0.113.7");
    assert_eq!(first["createdAt"], began.to_string());
    assert_eq!(first["lastUsedAt"], began.to_string());

    // Continuing it is using it.
    auth.infra.clock.advance(Duration::from_secs(60));
    let refresh = cookie(&signed_up, "refresh");
    let moved = client.cookie("refresh", &refresh).header("x-forwarded-for", "203.0.113.8");
    moved.post("/api/users/refresh", json!({})).await.expect(200);
    let sessions = list(&auth.client_of(&laptop)).await;
    assert_eq!(sessions[0]["lastUsedAt"], auth.infra.clock.now().to_string());
    assert_eq!(sessions[0]["createdAt"], began.to_string());
    assert_eq!(sessions[0]["address"], "203.0.113.8");
    assert_eq!(sessions[0].get("userAgent"), None);

    let nobody = client.get(PATH).await;
    nobody.problem(401, "not-signed-in");
}

#[tokio::test]
async fn one_session_is_ended_and_the_others_go_on() {
    let auth = World::start().await;
    let lost = auth.sign_up("kim@example.org").await;
    let here = sign_in(&auth, "kim@example.org").await;
    let client = auth.client_of(&here);
    let id = list(&auth.client_of(&lost)).await.into_iter().find(|one| one["current"] == true);
    let id = id.unwrap()["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let ended = client.delete(&format!("{PATH}/{id}")).await;
        ended.expect(204);
        assert_eq!(ended.cookie("session"), None, "this one goes on");
    }
    auth.client_of(&lost).get(PATH).await.problem(401, "not-signed-in");
    assert_eq!(auth.current_user(&cookie(&lost, "session")).await, json!(null));
    auth.refresh(&cookie(&lost, "refresh")).await.problem(401, "not-signed-in");
    assert_eq!(list(&client).await.len(), 1);
    let event = auth.infra.bus().wait_for::<UserSessionEnded>(|_| true).await;
    assert_eq!(event.0.id.to_string(), id);
    assert_eq!(auth.infra.bus().published::<UserSessionEnded>().await.len(), 1);

    let own = list(&client).await[0]["id"].as_str().unwrap().to_owned();
    let ended = client.delete(&format!("{PATH}/{own}")).await;
    ended.expect(204);
    assert_cleared(&ended);
    client.get(PATH).await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn nobody_ends_somebody_else_s_session() {
    let auth = World::start().await;
    let kim = auth.sign_up("kim@example.org").await;
    let eve = auth.client_of(&auth.sign_up("eve@example.org").await);
    let id = list(&auth.client_of(&kim)).await[0]["id"].as_str().unwrap().to_owned();
    let unknown = common::ids::SessionId::new(auth.infra.clock.now());
    for id in [&*id, &unknown.to_string(), "1"] {
        let refused = eve.delete(&format!("{PATH}/{id}")).await;
        refused.problem(404, "not-found");
    }
    assert_eq!(list(&auth.client_of(&kim)).await.len(), 1);
    let nobody = auth.service.client();
    for path in [PATH, &format!("{PATH}/{id}")] {
        nobody.delete(path).await.problem(401, "not-signed-in");
        let cross_site = auth.client_of(&kim).header("sec-fetch-site", "cross-site");
        cross_site.delete(path).await.problem(403, "cross-site");
    }
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_by_one_write() {
    let auth = World::start().await;
    let first = auth.sign_up("kim@example.org").await;
    let others = join_all((0..5).map(|_| sign_in(&auth, "kim@example.org"))).await;
    let other_user = auth.sign_up("eve@example.org").await;
    let ended = auth.client_of(&others[0]).delete(PATH).await;
    ended.expect(204);
    assert_cleared(&ended);
    for response in others.iter().chain([&first]) {
        auth.client_of(response).get(PATH).await.problem(401, "not-signed-in");
        auth.refresh(&cookie(response, "refresh")).await.problem(401, "not-signed-in");
    }
    assert_eq!(list(&auth.client_of(&other_user)).await.len(), 1);
    auth.refresh(&cookie(&other_user, "refresh")).await.expect(200);
    let event = auth.infra.bus().wait_for::<UserUpdated>(|_| true).await;
    assert_eq!((event.0.session_generation, event.0.version), (1, 2));

    let again = sign_in(&auth, "kim@example.org").await;
    assert_eq!(list(&auth.client_of(&again)).await.len(), 1, "those that have ended aren't listed");
    auth.refresh(&cookie(&again, "refresh")).await.expect(200);
}

/// Whichever is first: a session that was begun with the old generation is over, one with the new generation goes on.
#[tokio::test]
async fn no_session_of_before_survives_that_was_being_begun_meanwhile() {
    let auth = World::start().await;
    let first = auth.sign_up("kim@example.org").await;
    let client = auth.client_of(&first);
    let end = async { client.delete(PATH).await.expect(204) };
    let (_, begun) = tokio::join!(end, join_all((0..6).map(|_| sign_in(&auth, "kim@example.org"))));
    let database = auth.infra.database("auth").await;
    let sessions = database.collection::<bson::Document>("sessions");
    for response in &begun {
        let token = cookie(response, "refresh");
        let id = token.split_once('.').unwrap().0;
        let session = sessions.find_one(bson::doc! { "_id": id }).await.unwrap().unwrap();
        let status = auth.refresh(&token).await.status;
        let goes_on = session.get_i64("generation").unwrap() == 1;
        assert_eq!(status == 200, goes_on, "{session}");
    }
}

#[tokio::test]
async fn another_replica_refuses_the_tokens_as_soon_as_it_receives_the_event() {
    let auth = World::start().await;
    let other = replica(&auth.infra).await;
    for everywhere in [false, true] {
        let response = if everywhere {
            sign_in(&auth, "kim@example.org").await
        } else {
            auth.sign_up("kim@example.org").await
        };
        let token = cookie(&response, "session");
        let there = other.client().cookie("session", &token);
        there.get(PATH).await.expect(200);
        let here = auth.client_of(&response);
        if everywhere {
            here.delete(PATH).await.expect(204);
        } else {
            here.post("/api/users/signout", json!({})).await.expect(200);
        }
        eventually("the other replica to refuse the token", || async {
            (there.get(PATH).await.status == 401).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_revoked_is_known_after_a_restart_without_a_broker() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    auth.client_of(&response).post("/api/users/signout", json!({})).await.expect(200);
    let database = auth.infra.database("auth").await;
    let copy = database.collection::<bson::Document>("revocations");
    eventually("the copy", || async { copy.find_one(bson::doc! {}).await.unwrap() }).await;
    let mut settings = settings(&auth.infra).await;
    settings.context.nats.nats_url = "nats://127.0.0.1:9".to_owned();
    let restarted = Auth::build(settings, auth.infra.clock.clone()).await.unwrap();
    let restarted = TestService::serve(restarted).await;
    let client = restarted.client().cookie("session", &cookie(&response, "session"));
    client.get(PATH).await.problem(401, "not-signed-in");
}

/// The broker has lost everything, and so has another service's copy: auth's own documents say it again.
#[tokio::test]
async fn what_was_revoked_is_published_again_to_a_wiped_broker() {
    let auth = World::start().await;
    let signed_out = auth.sign_up("kim@example.org").await;
    auth.client_of(&signed_out).post("/api/users/signout", json!({})).await.expect(200);
    let everywhere = auth.sign_up("eve@example.org").await;
    auth.client_of(&everywhere).delete(PATH).await.expect(204);
    let bus = auth.infra.bus();
    let before = bus.wait_for::<UserSessionEnded>(|_| true).await;
    auth.infra.nats.wipe().await;
    for kind in ["users", "sessions"] {
        bus.wait_for_replay(Stream::Users.name(), kind).await;
    }
    assert_eq!(bus.wait_for::<UserSessionEnded>(|_| true).await, before);
    bus.wait_for::<UserUpdated>(|event| event.0.session_generation == 1).await;
}

/// The version before stored no version, no generation and no device.
#[tokio::test]
async fn a_session_of_the_version_before_is_listed_continued_and_ended() {
    let auth = World::start().await;
    let response = auth.sign_up("kim@example.org").await;
    let database = auth.infra.database("auth").await;
    let fields = ["version", "generation", "device", "outbox", "outboxPending", "changedAt"];
    let unset = fields.map(|field| (field.to_owned(), bson::Bson::from("")));
    let unset = bson::doc! { "$unset": bson::Document::from_iter(unset) };
    let sessions = database.collection::<bson::Document>("sessions");
    sessions.update_many(bson::doc! {}, unset.clone()).await.unwrap();
    let user = bson::doc! { "$unset": { "sessionGeneration": "" } };
    database.collection::<bson::Document>("users").update_many(bson::doc! {}, user).await.unwrap();

    assert_eq!(list(&auth.client_of(&response)).await.len(), 1);
    let next = auth.refresh(&cookie(&response, "refresh")).await;
    next.expect(200);
    sessions.update_many(bson::doc! {}, unset).await.unwrap();
    auth.client_of(&next).post("/api/users/signout", json!({})).await.expect(200);
    auth.refresh(&cookie(&next, "refresh")).await.problem(401, "not-signed-in");
    auth.infra.bus().wait_for::<UserSessionEnded>(|_| true).await;
}
