//! Events and their delivery.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::json;
use stripe_double::{Clock, Config, ManualClock, StripeDouble, Webhook};

use crate::{
    receiver::{Receiver, attempted, settled},
    support::{Client, Double, NOW_MS, cancel_path, capture_path, text},
};

const NOW: u64 = NOW_MS / 1000;

fn set(types: &[&str]) -> BTreeSet<String> {
    types.iter().map(|kind| (*kind).to_owned()).collect()
}

#[tokio::test]
async fn an_endpoint_shows_its_secret_once() {
    let double = Double::start().await;
    let client = &double.client;
    let create = [
        ("url", "https://shop.example/webhook"),
        ("enabled_events[]", "charge.refunded"),
        ("enabled_events[]", "payment_intent.succeeded"),
        ("description", "the shop"),
        ("api_version", "2026-09-30.endive"),
    ];
    let created = client.post("/v1/webhook_endpoints", &create).await.body;
    assert!(text(&created["secret"]).starts_with("whsec_"));
    let path = format!("/v1/webhook_endpoints/{}", text(&created["id"]));
    let read = client.get(&path).await.body;
    assert_eq!((&read["status"], read.get("secret")), (&json!("enabled"), None));
    let listed = client.get("/v1/webhook_endpoints").await.body;
    assert_eq!(listed["data"], json!([read]));

    let update = [("disabled", "true"), ("enabled_events[]", "*")];
    let updated = client.post(&path, &update).await.body;
    assert_eq!(
        (&updated["status"], &updated["enabled_events"]),
        (&json!("disabled"), &json!(["*"]))
    );
    let request = client.request(Method::DELETE, &path);
    assert_eq!(client.send(request).await.unwrap().body["deleted"], true);
    assert_eq!(client.get(&path).await.status, 404);

    for form in [
        vec![("url", "shop.example"), ("enabled_events[]", "*")],
        vec![("url", "https://shop.example")],
        vec![("url", "https://shop.example"), ("enabled_events[]", "everything")],
    ] {
        assert_eq!(client.post("/v1/webhook_endpoints", &form).await.status, 400, "{form:?}");
    }
}

#[tokio::test]
async fn an_event_arrives_signed_with_the_object_and_the_request() {
    let double = Double::start().await;
    let client = &double.client;
    let (mut receiver, secret) = Receiver::registered(client, &["payment_intent.succeeded"]).await;
    let authorised = client.authorised_with("pm_card_visa").await;
    client.post_with_key("capture:1", &capture_path(&authorised), &[]).await;
    let received = receiver.next().await;
    assert!(received.is_genuine(&secret, NOW));
    assert!(!received.is_genuine("whsec_other", NOW));
    let event = &received.event;
    assert_eq!(
        (received.kind(), &event["object"], &event["api_version"]),
        ("payment_intent.succeeded", &json!("event"), &json!("2026-09-30.endive"))
    );
    assert_eq!(event["request"]["idempotency_key"], "capture:1");
    assert_eq!(event["data"]["object"]["id"], authorised["id"]);
    assert_eq!(event["data"]["object"]["amount_received"], 2000);
    let read = client.get(&format!("/v1/events/{}", text(&event["id"]))).await.body;
    assert_eq!(read["data"], event["data"]);
}

#[tokio::test]
async fn every_step_of_a_payment_is_an_event() {
    let double = Double::start().await;
    let client = &double.client;
    let (mut receiver, _) = Receiver::registered(client, &["*"]).await;

    let declined = "pm_card_visa_chargeDeclined";
    client.intent(&[("payment_method", declined), ("confirm", "true")]).await;
    let failed = ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"];
    assert_eq!(receiver.types(3).await, set(&failed));

    let challenged = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting = client.intent(&challenged).await.body;
    let requires = ["payment_intent.created", "payment_intent.requires_action"];
    assert_eq!(receiver.types(2).await, set(&requires));
    let path = format!("/_authenticate/{}", text(&waiting["id"]));
    client.post(&path, &[("outcome", "failure")]).await;
    assert_eq!(receiver.next().await.kind(), "payment_intent.payment_failed");

    let first = client.authorised_with("pm_card_visa").await;
    let authorised =
        ["payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated"];
    assert_eq!(receiver.types(3).await, set(&authorised));
    client.post(&cancel_path(&first), &[]).await;
    assert_eq!(receiver.next().await.kind(), "payment_intent.canceled");

    let second = client.authorised_with("pm_card_visa").await;
    receiver.types(3).await;
    client.post(&capture_path(&second), &[]).await;
    assert_eq!(receiver.types(2).await, set(&["charge.captured", "payment_intent.succeeded"]));
    client.post("/v1/refunds", &[("payment_intent", text(&second["id"]))]).await;
    assert_eq!(receiver.types(2).await, set(&["refund.created", "charge.refunded"]));

    let third = client.authorised_with("pm_card_visa").await;
    receiver.types(3).await;
    double.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
    let expired = ["charge.expired", "payment_intent.canceled"];
    assert_eq!(receiver.types(2).await, set(&expired), "without any request");
    assert_eq!(client.reread(&third).await["status"], "canceled");

    settled(client).await;
    assert!(receiver.is_empty());
    let listed = client.get("/v1/events?type=charge.*&limit=100").await.body;
    let listed = listed["data"].as_array().unwrap().iter().map(|it| text(&it["type"]));
    let charges = ["charge.failed", "charge.succeeded", "charge.captured", "charge.refunded"];
    assert_eq!(
        listed.map(str::to_owned).collect::<BTreeSet<_>>(),
        &set(&charges) | &set(&["charge.expired"])
    );
}

#[tokio::test]
async fn a_refund_that_changes_later_is_an_event() {
    let double = Double::start().await;
    let client = &double.client;
    let (mut receiver, _) =
        Receiver::registered(client, &["refund.updated", "charge.refund.updated", "refund.failed"])
            .await;
    for (card, types, status) in [
        ("pm_card_pendingRefund", vec!["refund.updated", "charge.refund.updated"], "succeeded"),
        (
            "pm_card_refundFail",
            vec!["refund.updated", "charge.refund.updated", "refund.failed"],
            "failed",
        ),
    ] {
        let paid = client.paid_with(card).await;
        client.post("/v1/refunds", &[("payment_intent", text(&paid["id"]))]).await;
        double.clock.advance(Duration::from_secs(60));
        let mut arrived = BTreeSet::new();
        for _ in 0..types.len() {
            let received = receiver.next().await;
            assert_eq!(received.event["data"]["object"]["status"], status);
            arrived.insert(received.kind().to_owned());
        }
        assert_eq!(arrived, set(&types));
    }
}

#[tokio::test]
async fn an_event_is_delivered_again_until_it_is_accepted_even_after_a_restart() {
    let double = Double::start().await;
    let (mut receiver, secret) =
        Receiver::registered(&double.client, &["payment_intent.created"]).await;
    receiver.respond_with(500);
    double.client.intent(&[]).await;
    let first = receiver.next().await;
    // A redirect isn't followed, and isn't a success.
    receiver.respond_with(302);
    double.clock.advance(Duration::from_secs(1));
    let second = receiver.next().await;
    attempted(&double.client, 2).await;

    let double = double.restarted().await;
    receiver.respond_with(200);
    double.clock.advance(Duration::from_secs(2));
    let third = receiver.next().await;
    assert!(third.is_genuine(&secret, NOW + 3));
    assert_eq!((&first.event["id"], &first.event["id"]), (&second.event["id"], &third.event["id"]));
    let deliveries = settled(&double.client).await;
    let statuses: Vec<_> =
        deliveries[0]["attempts"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(
        (statuses, &deliveries[0]["state"]),
        (vec![&json!(500), &json!(302), &json!(200)], &json!("succeeded"))
    );
}

#[tokio::test]
async fn an_unreachable_receiver_gets_the_event_when_it_is_back_or_is_given_up_after_three_days() {
    let double = Double::start().await;
    let client = &double.client;
    let form = [("url", "http://127.0.0.1:9/webhook"), ("enabled_events[]", "*")];
    let endpoint = client.post("/v1/webhook_endpoints", &form).await.body;
    client.intent(&[]).await;
    attempted(client, 1).await;
    assert_eq!(client.get("/v1/events").await.body["data"][0]["pending_webhooks"], 1);
    double.clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    let deliveries = settled(client).await;
    assert_eq!(deliveries[0]["state"], "failed");
    assert!(text(&deliveries[0]["attempts"][0]["error"]).contains("onnect"), "{deliveries:?}");

    let receiver = &mut Receiver::start().await;
    let path = format!("/v1/webhook_endpoints/{}", text(&endpoint["id"]));
    client.post(&path, &[("url", &receiver.url)]).await;
    let event = text(&deliveries[0]["event"]);
    client.post(&format!("/_dashboard/events/{event}/resend"), &[]).await;
    assert_eq!(receiver.next().await.event["id"], event);
}

#[tokio::test]
async fn the_endpoint_of_the_settings_receives_everything() {
    let mut receiver = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    for secret in ["whsec_first", "whsec_second"] {
        let config = Config {
            clock: Clock::Manual(ManualClock::at_ms(NOW_MS)),
            webhook: Some(Webhook { url: receiver.url.clone(), secret: secret.to_owned() }),
            ..Config::in_dir(dir.path())
        };
        let running = StripeDouble::start(config).await.unwrap();
        let client = Client::new(running.url());
        client.intent(&[]).await;
        assert!(receiver.next().await.is_genuine(secret, NOW));
        settled(&client).await;
        let endpoints = client.get("/v1/webhook_endpoints").await.body;
        assert_eq!(endpoints["data"].as_array().unwrap().len(), 1);
        running.stop().await.unwrap();
    }
}
