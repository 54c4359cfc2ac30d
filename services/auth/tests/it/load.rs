//! Many sign-ins at once: their memory, what is refused, and what is not begun.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use std::time::Duration;

use bson::doc;
use common::ids::UserId;
use futures::future::{join_all, select_all};
use serde_json::json;
use testkit::{Client, Infra, RunningProgram, eventually};
use tokio::task::JoinHandle;

use super::*;

const PATH: &str = "/api/users/signin";
/// With two workers of 19 MiB each, any number of sign-ins takes less than half of what a container has.
const MAX_MEMORY: u64 = 128_000_000;
/// As many passwords wait for a worker, and as many are hashed.
const QUEUE: usize = 128;
const WORKERS: usize = 2;

fn sign_in(client: &Client, email: &str) -> JoinHandle<Response> {
    let (client, body) = (client.clone(), credentials(email));
    tokio::spawn(async move { client.post(PATH, body).await })
}

/// Accounts of one password: as many sign-ins to one account would be too many.
async fn accounts(infra: &Infra, auth: &RunningProgram, count: usize) -> Vec<String> {
    const FIRST: &str = "kim@example.org";
    auth.client.post("/api/users/signup", credentials(FIRST)).await.expect(201);
    let users = infra.database("auth").await.collection::<bson::Document>("users");
    let first = users.find_one(doc! { "email": FIRST }).await.unwrap().unwrap();
    let emails: Vec<String> =
        (0..count).map(|number| format!("kim-{number}@example.org")).collect();
    let copies = emails.iter().map(|email| {
        let id = UserId::new(infra.clock.now()).to_string();
        let mut copy = first.clone();
        copy.extend(doc! { "_id": id, "email": email, "outbox": [] });
        copy
    });
    users.insert_many(copies).await.unwrap();
    emails
}

#[track_caller]
fn assert_refused(response: &Response) {
    response.problem(503, "unavailable");
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn five_hundred_concurrent_sign_ins_take_little_memory() {
    let infra = Infra::start().await;
    let auth = program(&infra).await;
    let signs_in = async |email: String| {
        loop {
            let response = auth.client.post(PATH, credentials(&email)).await;
            if response.status == 200 {
                break;
            }
            assert_refused(&response);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    join_all(accounts(&infra, &auth, 500).await.into_iter().map(signs_in)).await;
    let peak = auth.peak_memory();
    assert!(peak <= MAX_MEMORY, "{peak} bytes");
    assert!(auth.count("password_work_refused_total").await > 0, "they were concurrent");
}

/// No account has such a password: it waits neither for a worker nor for the database.
#[tokio::test]
async fn a_password_that_is_longer_than_any_account_has_is_not_queued() {
    let infra = Infra::start().await;
    let auth = program(&infra).await;
    auth.client.post("/api/users/signup", credentials("kim@example.org")).await.expect(201);
    let begun = auth.count("password_work_begun_total").await;
    let body = json!({ "email": "kim@example.org", "password": "x".repeat(60_000) });
    for response in join_all((0..400).map(|_| auth.client.post(PATH, body.clone()))).await {
        response.problem(401, "invalid-credentials");
    }
    assert_eq!(auth.count("password_work_begun_total").await, begun);
}

/// Occupies every worker for seconds: by accounts whose stored hashes name 200 times the passes.
async fn occupy(infra: &Infra, auth: &RunningProgram) -> Vec<JoinHandle<Response>> {
    const EMAIL: &str = "slow@example.org";
    auth.client.post("/api/users/signup", credentials(EMAIL)).await.expect(201);
    let users = infra.database("auth").await.collection::<bson::Document>("users");
    let user = users.find_one(doc! { "email": EMAIL }).await.unwrap().unwrap();
    let costly = user.get_str("passwordHash").unwrap().replace(",t=2,", ",t=400,");
    let set = doc! { "$set": { "passwordHash": costly } };
    users.update_one(doc! { "email": EMAIL }, set).await.unwrap();

    let begun = auth.count("password_work_begun_total").await;
    let occupying = (0..WORKERS).map(|_| sign_in(&auth.client, EMAIL)).collect();
    eventually("every worker to be occupied", || async {
        let now = auth.count("password_work_begun_total").await;
        (now == begun + 2).then_some(())
    })
    .await;
    occupying
}

#[tokio::test]
async fn with_all_workers_busy_sign_ins_beyond_the_queue_are_refused_at_once_and_abandoned_ones_never_begun()
 {
    const BEYOND: usize = 30;
    let infra = Infra::start().await;
    let auth = program(&infra).await;
    let emails = accounts(&infra, &auth, QUEUE + BEYOND).await;
    let occupying = occupy(&infra, &auth).await;
    let begun = auth.count("password_work_begun_total").await;

    let mut sign_ins: Vec<_> = emails.iter().map(|email| sign_in(&auth.client, email)).collect();
    for _ in 0..BEYOND {
        let (refused, _, others) = select_all(sign_ins).await;
        assert_refused(&refused.unwrap());
        sign_ins = others;
    }
    // They were refused while the others still wait, not after a wait of their own.
    assert!(sign_ins.iter().all(|sign_in| !sign_in.is_finished()));
    assert_eq!(sign_ins.len(), QUEUE);
    // Nor does any route wait that needs no worker.
    auth.client.get("/api/users/currentuser").await.expect(200);
    let invalid = json!({ "email": "kim@example.org", "password": "" });
    auth.client.post(PATH, invalid).await.problem(400, "invalid");
    assert!(occupying.iter().all(|sign_in| !sign_in.is_finished()), "the workers are busy");

    // All who wait disconnect.
    for sign_in in sign_ins {
        sign_in.abort();
    }
    eventually("what was abandoned to be skipped", || async {
        let skipped = auth.count("password_work_skipped_total").await;
        (skipped == 128).then_some(())
    })
    .await;
    assert_eq!(auth.count("password_work_begun_total").await, begun);
    auth.client.post(PATH, credentials("kim@example.org")).await.expect(200);
    assert_eq!(auth.count("password_work_begun_total").await, begun + 1);
}
