//! The keys of session tokens are replaced while people use the site, as docs/operating.md says it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use system_tests::{Stack, chaos, workspace};
use testkit::{Client, Method, Program, eventually, retry_for};
use tokio::task::JoinSet;
use uuid::Uuid;

const REPLICAS: u16 = 2;
const PEOPLE: usize = 4;
/// What every service shows to a signed-in user only, of an order of theirs.
fn private(order: &str) -> [String; 5] {
    [
        "/api/users/sessions".to_owned(),
        "/api/tickets?mine=true".to_owned(),
        format!("/api/orders/{order}"),
        format!("/api/payments?orderId={order}"),
        format!("/api/orders/{order}/mails"),
    ]
}
const TIMEOUT: Duration = Duration::from_secs(60);

/// Somebody who uses the site until they are stopped.
struct Person {
    client: Client,
    order: String,
    refreshed: Arc<AtomicU64>,
}

impl Person {
    async fn sign_up(stack: &Stack) -> (Person, String) {
        let client = stack.visitor();
        let email = format!("kim-{}@example.com", Uuid::now_v7());
        let credentials = json!({ "email": email, "password": "correct horse" });
        let signed_up = client.post("/api/users/signup", credentials).await;
        signed_up.expect(201);
        let token = signed_up.cookie("session").unwrap().to_owned();
        let order = json!({ "ticketId": ticket_of_another_user(stack).await });
        let order = client.post("/api/orders", order).await.expect(201);
        let order = order["id"].as_str().unwrap().to_owned();
        for path in private(&order) {
            eventually("the order to be known", async || {
                (client.get(&path).await.status == 200).then_some(())
            })
            .await;
        }
        (Person { client, order, refreshed: Arc::default() }, token)
    }

    /// Returns what has failed.
    async fn uses(self, stopped: Arc<AtomicBool>) -> Vec<String> {
        let mut failed = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let gets = private(&self.order).map(|path| (Method::GET, path));
            let refresh = (Method::POST, "/api/users/refresh".to_owned());
            for (method, path) in gets.into_iter().chain([refresh]) {
                let response = self.client.request(method, &path).try_send().await;
                match response.map(|response| response.status.as_u16()) {
                    Ok(200) => {}
                    outcome => failed.push(format!("{path}: {outcome:?}")),
                }
            }
            self.refreshed.fetch_add(1, Ordering::Relaxed);
        }
        failed
    }
}

#[tokio::test]
async fn a_rotation_of_the_keys_under_load_fails_no_request_and_signs_nobody_out() {
    let start = || Stack::start_replicas("key-rotation", REPLICAS, &[]);
    let stack = &tokio::task::spawn_blocking(start).await.unwrap();
    let (mut people, mut counts, mut tokens) = (JoinSet::new(), Vec::new(), Vec::new());
    let stopped = Arc::new(AtomicBool::new(false));
    for _ in 0..PEOPLE {
        let (person, token) = Person::sign_up(stack).await;
        tokens.push((token, person.order.clone()));
        counts.push(Arc::clone(&person.refreshed));
        people.spawn(person.uses(Arc::clone(&stopped)));
    }
    let everybody_has_refreshed = async || {
        let goals: Vec<u64> = counts.iter().map(|it| it.load(Ordering::Relaxed) + 2).collect();
        let reached = async || {
            let mut all = counts.iter().zip(&goals);
            all.all(|(count, goal)| count.load(Ordering::Relaxed) >= *goal).then_some(()).ok_or(())
        };
        retry_for(TIMEOUT, reached).await.unwrap();
    };
    let keys = async || {
        let set = stack.visitor().get("/api/users/.well-known/jwks.json").await.expect(200);
        let keys = set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone());
        keys.collect::<Vec<Value>>()
    };
    let [old] = keys().await.try_into().unwrap();

    rotate(stack, "prepare").await;
    restart(stack, workspace::services()).await;
    let [first, new] = keys().await.try_into().unwrap();
    assert!(first == old && new != old);
    everybody_has_refreshed().await;

    rotate(stack, "switch").await;
    restart(stack, ["auth".to_owned()]).await;
    // In half an hour, they have, or their tokens have expired.
    everybody_has_refreshed().await;

    rotate(stack, "finish").await;
    restart(stack, workspace::services()).await;
    assert_eq!(keys().await, [new]);
    everybody_has_refreshed().await;

    stopped.store(true, Ordering::Relaxed);
    let failed: Vec<String> = people.join_all().await.concat();
    assert!(failed.is_empty(), "{failed:#?}");
    // What the old key has signed is refused, although it hasn't expired.
    for (token, order) in tokens {
        let client = Client::new(&stack.url()).cookie("session", &token);
        for path in private(&order) {
            client.get(&path).await.problem(401, "not-signed-in");
        }
    }
}

async fn ticket_of_another_user(stack: &Stack) -> Value {
    let seller = stack.visitor();
    let email = format!("lee-{}@example.com", Uuid::now_v7());
    let credentials = json!({ "email": email, "password": "correct horse" });
    seller.post("/api/users/signup", credentials).await.expect(201);
    let ticket = json!({ "title": "Tosca", "price": "20.50" });
    seller.post("/api/tickets", ticket).await.expect(201)["id"].clone()
}

async fn rotate(stack: &Stack, step: &str) {
    let keys = stack.root().join("keys").display().to_string();
    let rotated = Program::of("auth").run(&["rotate-keys", step, "--keys", &keys]).await;
    rotated.expect_success();
}

/// One process after the other.
async fn restart(stack: &Stack, services: impl IntoIterator<Item = String>) {
    for service in services {
        for number in 1..=REPLICAS {
            let name = format!("{service}-{number}");
            chaos::restart(stack, &name, Signal::SIGTERM).await.unwrap();
        }
    }
}
