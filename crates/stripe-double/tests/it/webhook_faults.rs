//! What may happen to a webhook on its way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    receiver::{Receiver, settled},
    support::{Client, Double, NOW_MS, text},
};

const NOW: u64 = NOW_MS / 1000;

/// A receiver of `payment_intent.created`, whose next event meets this fault.
async fn faulty(double: &Double, kind: &str) -> (Receiver, String) {
    let client = &double.client;
    let registered = Receiver::registered(client, &["payment_intent.created"]).await;
    let matches = json!({ "event": "payment_intent.*" });
    client.arm(json!({ "match": matches, "kind": kind, "times": 1 })).await;
    registered
}

async fn intent(client: &Client) -> String {
    text(&client.intent(&[]).await.body["id"]).to_owned()
}

fn object(event: &Value) -> &str {
    text(&event["data"]["object"]["id"])
}

#[tokio::test]
async fn an_event_is_delivered_twice() {
    let double = Double::start().await;
    let (mut receiver, _) = faulty(&double, "webhook_duplicated").await;
    intent(&double.client).await;
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!(first.event["id"], second.event["id"]);
    assert_eq!(settled(&double.client).await.len(), 2);
}

#[tokio::test]
async fn an_event_is_overtaken_by_the_next_one() {
    let double = Double::start().await;
    let (mut receiver, _) = faulty(&double, "webhook_reordered").await;
    let first = intent(&double.client).await;
    let second = intent(&double.client).await;
    assert_eq!(object(&receiver.next().await.event), second);
    assert_eq!(object(&receiver.next().await.event), first);
}

#[tokio::test]
async fn an_overtaken_event_arrives_even_if_none_follows() {
    let double = Double::start().await;
    let (mut receiver, _) = faulty(&double, "webhook_reordered").await;
    let only = intent(&double.client).await;
    double.clock.advance(Duration::from_secs(5));
    assert_eq!(object(&receiver.next().await.event), only);
}

#[tokio::test]
async fn an_event_is_delayed() {
    let double = Double::start().await;
    let (mut receiver, _) = faulty(&double, "webhook_delayed").await;
    let late = intent(&double.client).await;
    let prompt = intent(&double.client).await;
    assert_eq!(object(&receiver.next().await.event), prompt);
    assert!(receiver.is_empty());
    double.clock.advance(Duration::from_secs(1));
    assert_eq!(object(&receiver.next().await.event), late);
}

#[tokio::test]
async fn an_event_arrives_before_the_response_that_caused_it() {
    let double = Double::start().await;
    let (mut receiver, _) = faulty(&double, "webhook_before_response").await;
    let client = double.client.clone();
    let request = tokio::spawn(async move { intent(&client).await });
    let received = receiver.hold().await;
    let id = object(&received.event).to_owned();
    // What the event is about can be read already.
    let path = format!("/v1/payment_intents/{id}");
    assert_eq!(double.client.get(&path).await.body["id"], id);
    assert!(!request.is_finished());
    received.respond();
    assert_eq!(request.await.unwrap(), id);
}

#[tokio::test]
async fn an_event_is_lost_and_can_still_be_listed() {
    let double = Double::start().await;
    let client = &double.client;
    let (mut receiver, _) = faulty(&double, "webhook_lost").await;
    let lost = intent(client).await;
    let next = intent(client).await;
    assert_eq!(object(&receiver.next().await.event), next);
    let deliveries = settled(client).await;
    assert_eq!((&deliveries[0]["state"], &deliveries[0]["attempts"]), (&json!("lost"), &json!([])));
    let events = client.get("/v1/events?type=payment_intent.created").await.body;
    assert_eq!(object(&events["data"][1]), lost);
    assert!(receiver.is_empty());
}

#[tokio::test]
async fn an_event_of_an_unknown_type_arrives_as_well() {
    let double = Double::start().await;
    let (mut receiver, secret) = faulty(&double, "webhook_unknown_type").await;
    intent(&double.client).await;
    let mut both = [receiver.next().await, receiver.next().await];
    both.sort_by_key(|received| received.kind().to_owned());
    let [known, unknown] = both;
    assert_eq!(known.kind(), "payment_intent.created");
    assert_eq!(unknown.kind(), "payment_intent.of_an_unknown_type");
    assert!(unknown.is_genuine(&secret, NOW));
    assert_ne!(known.event["id"], unknown.event["id"]);
}

#[tokio::test]
async fn an_event_of_an_unknown_version_has_little_but_its_ids() {
    let double = Double::start().await;
    let (mut receiver, secret) = faulty(&double, "webhook_unknown_version").await;
    let id = intent(&double.client).await;
    let received = receiver.next().await;
    assert!(received.is_genuine(&secret, NOW));
    assert_eq!(received.kind(), "payment_intent.created");
    assert_eq!(object(&received.event), id);
    assert_eq!(received.event["api_version"], "2099-01-01.unknown");
    assert_eq!(received.event["data"]["object"].get("amount"), None);
}

#[tokio::test]
async fn a_forged_and_a_replayed_event_have_no_valid_signature_and_are_not_repeated() {
    for kind in ["webhook_forged", "webhook_stale"] {
        let double = Double::start().await;
        let (mut receiver, secret) = faulty(&double, kind).await;
        receiver.respond_with(400);
        intent(&double.client).await;
        let both = [receiver.next().await, receiver.next().await];
        let genuine = both.iter().filter(|received| received.is_genuine(&secret, NOW)).count();
        assert_eq!(genuine, 1, "{kind}");
        let is_same = both[0].event["id"] == both[1].event["id"];
        assert_eq!(is_same, kind == "webhook_stale");

        receiver.respond_with(200);
        double.clock.advance(Duration::from_secs(1));
        assert!(receiver.next().await.is_genuine(&secret, NOW + 1));
        let deliveries = settled(&double.client).await;
        let refused: Vec<_> = deliveries.iter().filter(|it| it["state"] == "failed").collect();
        assert_eq!(refused.len(), 1, "{deliveries:?}");
        assert_eq!(refused[0]["attempts"].as_array().unwrap().len(), 1);
        assert!(receiver.is_empty());
    }
}
