//! Rate limits at the door, from real addresses of this machine, with two replicas that share a Redis; and without it.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use serde_json::json;
use testkit::{Client, Infra, Response, RunningProgram, eventually};

use super::*;

const SIGN_IN: &str = "/api/users/signin";
const SIGN_UP: &str = "/api/users/signup";

/// Two processes that share everything but their memory.
async fn replicas(infra: &Infra) -> [RunningProgram; 2] {
    [program(infra).await, program(infra).await]
}

/// Address `number` of 127.0.0.0/8, beside the one that all other tests use.
fn from(url: &str, number: u8) -> Client {
    Client::from_address(url, IpAddr::V4(Ipv4Addr::new(127, 0, 1, number)))
}

fn wrong(email: &str) -> Value {
    json!({ "email": email, "password": "wrong horse" })
}

/// How many were admitted; all others were refused, with the time to wait.
#[track_caller]
fn admitted(responses: &[Response], status: u16) -> usize {
    let (admitted, refused): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status.as_u16() == status);
    for response in refused {
        assert_limited(response, 3_600);
    }
    admitted.len()
}

#[track_caller]
fn assert_limited(response: &Response, longest: u64) {
    let problem = response.problem(429, "too-many-requests");
    let seconds: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&seconds), "{seconds}");
    assert_eq!(problem["retryAfter"], seconds);
}

async fn hashed(replicas: &[RunningProgram]) -> u64 {
    count(replicas, "password_work_begun_total").await
}

async fn count(replicas: &[RunningProgram], name: &str) -> u64 {
    let counts = replicas.iter().map(|auth| auth.count(name));
    join_all(counts).await.iter().sum()
}

/// Sends some at a time: neither the machine nor the queue of passwords is what limits them.
async fn send(requests: impl Iterator<Item = impl Future<Output = Response>>) -> Vec<Response> {
    futures::stream::iter(requests).buffer_unordered(4).collect().await
}

/// A burst, and one more in each interval that a slow machine takes.
fn at_most(burst: usize, interval: u64, begun: Instant) -> RangeInclusive<usize> {
    let more = usize::try_from(begun.elapsed().as_secs() / interval).unwrap() + 1;
    burst..=burst + more
}

/// The same of replicas, of which each decides by itself whenever Redis takes longer than a tenth of a second.
async fn at_most_of(
    replicas: &[RunningProgram],
    burst: usize,
    interval: u64,
    begun: Instant,
) -> RangeInclusive<usize> {
    let alone = count(replicas, "rate_limit_fallbacks_total").await;
    let (least, most) = at_most(burst, interval, begun).into_inner();
    least..=most + usize::try_from(alone).unwrap()
}

#[tokio::test]
async fn two_hundred_wrong_sign_ins_from_twenty_addresses_are_slowed_and_the_owner_gets_in_at_once()
{
    let infra = Infra::start().await;
    let auth = replicas(&infra).await;
    let [kim, eve] = ["kim@example.org", "eve@example.org"];
    let url = |number: usize| auth[number % 2].client.url().to_owned();
    let signed_up = from(&url(0), 250).post(SIGN_UP, credentials(kim)).await;
    let device = cookie(&signed_up, "device");
    let other = from(&url(0), 251).post(SIGN_UP, credentials(eve)).await;
    let other = cookie(&other, "device");

    let (begun, before) = (Instant::now(), hashed(&auth).await);
    let guesses = (0..200).map(async |number: usize| {
        let address = u8::try_from(number % 20).unwrap() + 1;
        from(&url(number / 20), address).post(SIGN_IN, wrong(kim)).await
    });
    let guessed = admitted(&send(guesses).await, 401);
    let most = at_most_of(&auth, 30, 30, begun).await;
    assert!(most.contains(&guessed), "{guessed}");
    // What is refused takes no work.
    assert_eq!(hashed(&auth).await - before, u64::try_from(guessed).unwrap());

    // The owner, on a device that they have used before, wherever they are: also at an address of the attack.
    for address in [1, 30] {
        let owner = from(&url(address.into()), address).cookie("device", &device);
        owner.post(SIGN_IN, credentials(kim)).await.expect(200);
    }
    // A device is known to its own account only, and a forged one to none.
    for cookie in [&other, &format!("{device}x"), &cookie(&signed_up, "session")] {
        let client = from(&url(1), 31).cookie("device", cookie);
        assert_limited(&client.post(SIGN_IN, credentials(kim)).await, 30);
    }
    // Nobody else is slowed.
    from(&url(0), 1).post(SIGN_IN, credentials(eve)).await.expect(200);

    // The cookie is no way to guess without limit.
    let guesses = (0..40).map(async |number: usize| {
        let address = u8::try_from(number).unwrap() + 40;
        from(&url(number), address).cookie("device", &device).post(SIGN_IN, wrong(kim)).await
    });
    let begun = Instant::now();
    let guessed = admitted(&send(guesses).await, 401);
    let most = at_most_of(&auth, 10, 10, begun).await;
    assert!(most.contains(&guessed), "{guessed}");
}

#[tokio::test]
async fn two_hundred_addresses_are_one_attack_on_an_account_and_two_hundred_neighbours_otherwise() {
    let infra = Infra::start().await;
    let auth = replicas(&infra).await;
    let url = |number: u8| auth[usize::from(number % 2)].client.url().to_owned();
    let begun = Instant::now();
    let guesses = (0..200).map(async |number: u8| {
        from(&url(number), number).post(SIGN_IN, wrong("kim@example.org")).await
    });
    // Whether there is such an account makes no difference.
    let guessed = admitted(&send(guesses).await, 401);
    let most = at_most_of(&auth, 30, 30, begun).await;
    assert!(most.contains(&guessed), "{guessed}");

    for number in 0..200 {
        let email = format!("kim-{number}@example.org");
        let response = from(&url(number), number).post(SIGN_IN, wrong(&email)).await;
        assert_eq!(response.status, 401, "{number}");
    }
}

#[tokio::test]
async fn accounts_are_created_from_one_address_up_to_a_limit() {
    let infra = Infra::start().await;
    let auth = replicas(&infra).await;
    let email = |number: usize| format!("kim-{number}@example.org");
    let begun = Instant::now();
    let before = hashed(&auth).await;
    let mut responses = Vec::new();
    for number in 0..40 {
        let url = auth[number % 2].client.url().to_owned();
        responses.push(from(&url, 1).post(SIGN_UP, credentials(&email(number))).await);
    }
    let created = admitted(&responses, 201);
    let most = at_most_of(&auth, 20, 180, begun).await;
    assert!(most.contains(&created), "{created}");
    assert_eq!(hashed(&auth).await - before, u64::try_from(created).unwrap());
    from(auth[0].client.url(), 2).post(SIGN_UP, credentials(&email(40))).await.expect(201);

    // As the gateway forwards it: a network of IPv6 is one client.
    let forwarded = |address: &str| auth[0].client.header("x-forwarded-for", address);
    let begun = Instant::now();
    let mut responses = Vec::new();
    for number in 0..25 {
        let client = forwarded(&format!("2001:db8::{number:x}"));
        responses.push(client.post(SIGN_UP, credentials(&email(100 + number))).await);
    }
    let created = admitted(&responses, 201);
    let most = at_most_of(&auth, 20, 180, begun).await;
    assert!(most.contains(&created), "{created}");
    let neighbour = forwarded("2001:db8:0:1::1");
    neighbour.post(SIGN_UP, credentials(&email(200))).await.expect(201);
}

#[tokio::test]
async fn a_user_may_write_so_often_and_always_leave() {
    let auth = World::start().await;
    let signed_up = auth.sign_up("kim@example.org").await;
    let client = auth.service.client().cookie("session", &cookie(&signed_up, "session"));
    let begun = Instant::now();
    let unknown = "/api/users/sessions/01a1fdd0-5c59-7319-ab89-000000000001";
    let responses = send((0..150).map(|_| client.delete(unknown))).await;
    let written = admitted(&responses, 404);
    assert!(at_most(60, 1, begun).contains(&written), "{written}");
    client.get("/api/users/sessions").await.expect(200);
    client.post("/api/users/signout", json!({})).await.expect(200);
}

/// Also without a device's cookie: only wrong passwords count.
#[tokio::test]
async fn who_knows_the_password_signs_in_as_often_as_they_like() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    let client = auth.service.client();
    let begun = Instant::now();
    for number in 0..40 {
        client.post(SIGN_IN, credentials("kim@example.org")).await.expect(200);
        if number % 10 == 0 {
            client
                .post(SIGN_IN, wrong("kim@example.org"))
                .await
                .problem(401, "invalid-credentials");
        }
    }
    let mut responses = Vec::new();
    for _ in 0..20 {
        responses.push(client.post(SIGN_IN, wrong("kim@example.org")).await);
    }
    // Four were wrong before.
    let guessed = admitted(&responses, 401);
    assert!(at_most(6, 10, begun).contains(&guessed), "{guessed}");
}

/// Redis is killed, answers nothing any more, or refuses to write.
#[tokio::test]
async fn without_redis_each_process_limits_by_itself_at_once() {
    for failure in ["killed", "silent", "full"] {
        let infra = Infra::start().await;
        let auth = program(&infra).await;
        let email = format!("{failure}@example.org");
        auth.client.post(SIGN_IN, wrong(&email)).await.problem(401, "invalid-credentials");
        assert_eq!(auth.count("rate_limit_fallbacks_total").await, 0, "{failure}");
        let redis = infra.redis().await;
        match failure {
            "killed" => redis.kill(),
            "silent" => redis.pause().await,
            _ => redis.refuse_writes().await,
        }
        let begun = Instant::now();
        let mut responses = Vec::new();
        for _ in 0..20 {
            responses.push(auth.client.post(SIGN_IN, wrong(&email)).await);
        }
        let guessed = admitted(&responses, 401);
        // It was counted before.
        assert!(at_most(9, 10, begun).contains(&guessed), "{failure}: {guessed}");
        assert!(auth.count("rate_limit_fallbacks_total").await > 0, "{failure}");

        redis.restart().await;
        let counted = || auth.count("rate_limit_fallbacks_total");
        eventually("the limits to be shared again", async || {
            let before = counted().await;
            let email = format!("{}@example.org", uuid::Uuid::now_v7());
            auth.client.post(SIGN_IN, wrong(&email)).await.expect(401);
            (counted().await == before).then_some(())
        })
        .await;
    }
}

/// Of a Redis that answers nothing, ten requests at once wait for a moment, and none after them at all.
#[tokio::test]
async fn a_request_waits_for_redis_for_a_moment_only() {
    let infra = Infra::start().await;
    let auth = program(&infra).await;
    infra.redis().await.pause().await;
    let attempt = || {
        let email = format!("{}@example.org", uuid::Uuid::now_v7());
        let client = auth.client.clone();
        async move {
            let begun = Instant::now();
            client.post(SIGN_IN, wrong(&email)).await.expect(401);
            begun.elapsed()
        }
    };
    // The limit of a request is six seconds, and every one that waited for Redis' answer would exceed it.
    let waited = join_all((0..10).map(|_| attempt())).await;
    assert!(waited.iter().all(|waited| *waited < Duration::from_secs(6)), "{waited:?}");
    let before = auth.count("rate_limit_fallbacks_total").await;
    attempt().await;
    assert_eq!(auth.count("rate_limit_fallbacks_total").await, before + 1);
}
