//! Each injected fault, and the state that it leaves.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Double, confirm_path, text, wait_for_fault_hit};

const VISA: [(&str, &str); 1] = [("payment_method", "pm_card_visa")];

async fn with_fault(fault: Value) -> (Double, Value) {
    let double = Double::start().await;
    let intent = double.client.intent(&[]).await.body;
    double.client.arm(fault).await;
    (double, intent)
}

async fn status_of(client: &Client, intent: &Value) -> Value {
    client.get(&format!("/v1/payment_intents/{}", text(&intent["id"]))).await.body["status"].clone()
}

#[tokio::test]
async fn error_before_executes_nothing_and_is_saved_under_its_key() {
    let (double, intent) = with_fault(json!({"match": {"path": "/v1/payment_intents/*/confirm"}, "kind": "error_before", "times": 1})).await;
    let client = &double.client;
    for _ in 0..2 {
        let reply = client.post_with_key("k", &confirm_path(&intent), &VISA).await;
        assert_eq!((reply.status.as_u16(), text(&reply.body["error"]["type"])), (500, "api_error"));
    }
    assert_eq!(status_of(client, &intent).await, "requires_payment_method");
    assert_eq!(
        client.post_with_key("l", &confirm_path(&intent), &VISA).await.body["status"],
        "succeeded"
    );
}

#[tokio::test]
async fn error_after_executes_the_request_and_is_saved_under_its_key() {
    let (double, intent) =
        with_fault(json!({"match": {"method": "POST"}, "kind": "error_after", "times": 1})).await;
    let path = confirm_path(&intent);
    assert_eq!(double.client.post_with_key("k", &path, &VISA).await.status, 500);
    let double = double.restarted().await;
    assert_eq!(double.client.post_with_key("k", &path, &VISA).await.status, 500);
    assert_eq!(status_of(&double.client, &intent).await, "succeeded");
}

#[tokio::test]
async fn a_cut_connection_returns_no_response_and_a_retry_executes_the_request() {
    let (double, intent) =
        with_fault(json!({"match": {"method": "POST"}, "kind": "cut", "times": 1})).await;
    let client = &double.client;
    client.try_post_with_key("k", &confirm_path(&intent), &VISA).await.unwrap_err();
    assert_eq!(status_of(client, &intent).await, "requires_payment_method");
    let retried = client.post_with_key("k", &confirm_path(&intent), &VISA).await;
    assert!(!retried.headers.contains_key("idempotent-replayed"));
    assert_eq!(retried.body["status"], "succeeded");
}

#[tokio::test]
async fn a_connection_that_is_cut_after_execution_returns_no_response_and_a_retry_replays_it() {
    let (double, intent) =
        with_fault(json!({"match": {"method": "POST"}, "kind": "cut_after", "times": 1})).await;
    let client = &double.client;
    client.try_post_with_key("k", &confirm_path(&intent), &VISA).await.unwrap_err();
    assert_eq!(status_of(client, &intent).await, "succeeded");
    let retried = client.post_with_key("k", &confirm_path(&intent), &VISA).await;
    assert_eq!(
        (retried.headers["idempotent-replayed"].as_bytes(), &retried.body["status"]),
        (b"true".as_slice(), &json!("succeeded"))
    );
}

#[tokio::test]
async fn a_torn_or_garbled_response_is_unreadable_and_a_retry_returns_the_complete_one() {
    for kind in ["torn", "garbled"] {
        let (double, intent) =
            with_fault(json!({"match": {"method": "POST"}, "kind": kind, "times": 1})).await;
        let client = &double.client;
        let path = confirm_path(&intent);
        client.try_post_with_key("k", &path, &VISA).await.unwrap_err();
        assert_eq!(status_of(client, &intent).await, "succeeded", "{kind}");
        assert_eq!(client.post_with_key("k", &path, &VISA).await.body["status"], "succeeded");
    }
}

#[tokio::test]
async fn a_failed_refund_returns_no_money_and_can_be_retried() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    client.arm(json!({"kind": "refund_fails", "times": 1})).await;
    let of = [("payment_intent", text(&paid["id"]))];
    for (key, status, kept) in [("k", "failed", 2000), ("k", "failed", 2000), ("l", "succeeded", 0)]
    {
        let refund = client.post_with_key(key, "/v1/refunds", &of).await;
        assert_eq!((refund.status.as_u16(), text(&refund.body["status"])), (200, status));
        assert_eq!(client.ledger().await["totals"]["usd"]["kept"], kept);
    }
}

#[tokio::test]
async fn a_hanging_request_ends_without_a_response_and_executes_nothing() {
    let (double, intent) = with_fault(
        json!({"match": {"method": "POST"}, "kind": "hang", "times": 1, "delay_ms": 50}),
    )
    .await;
    double.client.try_post_with_key("k", &confirm_path(&intent), &VISA).await.unwrap_err();
    assert_eq!(status_of(&double.client, &intent).await, "requires_payment_method");
}

#[tokio::test]
async fn a_late_request_is_executed_after_its_client_has_disconnected() {
    let (double, intent) = with_fault(
        json!({"match": {"method": "POST"}, "kind": "late", "times": 1, "delay_ms": 100}),
    )
    .await;
    let client = &double.client;
    let impatient = tokio::spawn({
        let (client, path) = (client.clone(), confirm_path(&intent));
        async move { client.try_post_with_key("k", &path, &VISA).await }
    });
    wait_for_fault_hit(client).await;
    impatient.abort();
    let executed = async {
        while status_of(client, &intent).await != "succeeded" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), executed)
        .await
        .expect("the request is never executed");
}

#[tokio::test]
async fn a_slow_response_is_complete() {
    let (double, intent) = with_fault(json!({"kind": "slow", "times": 1, "delay_ms": 50})).await;
    let started = std::time::Instant::now();
    assert_eq!(double.client.post(&confirm_path(&intent), &VISA).await.body["status"], "succeeded");
    assert!(started.elapsed().as_millis() >= 50);
}

#[tokio::test]
async fn a_rate_limit_executes_nothing_and_is_not_saved() {
    let (double, intent) = with_fault(json!({"kind": "rate_limit", "times": 2})).await;
    let client = &double.client;
    let limited = client.post_with_key("k", &confirm_path(&intent), &VISA).await;
    assert_eq!(
        (limited.status.as_u16(), text(&limited.body["error"]["code"])),
        (429, "rate_limit")
    );
    assert_eq!(client.get("/v1/payment_intents").await.status, 429);
    assert_eq!(
        client.post_with_key("k", &confirm_path(&intent), &VISA).await.body["status"],
        "succeeded"
    );
}

#[tokio::test]
async fn faults_are_listed_with_their_hits_and_can_be_cleared() {
    let (double, intent) =
        with_fault(json!({"match": {"method": "GET"}, "kind": "error_before"})).await;
    let client = &double.client;
    let path = format!("/v1/payment_intents/{}", text(&intent["id"]));
    assert_eq!(client.get(&path).await.status, 500);
    assert_eq!(client.get(&path).await.status, 500);
    assert_eq!(client.get("/_faults").await.body[0]["hits"], 2);
    client.send(client.request(Method::DELETE, "/_faults")).await.unwrap();
    assert_eq!(client.get(&path).await.status, 200);
    let typo = client
        .send(client.request(Method::POST, "/_faults").json(&json!({"kind": "explode"})))
        .await
        .unwrap();
    assert_eq!(typo.status, 400);
}
