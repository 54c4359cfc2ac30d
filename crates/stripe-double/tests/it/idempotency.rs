//! Idempotency keys: which responses are saved, and which requests are refused.

use std::time::Duration;

use serde_json::json;

use crate::support::{Double, TWENTY_DOLLARS, confirm_path, text, wait_for_fault_hit};

const INTENTS: &str = "/v1/payment_intents";

#[tokio::test]
async fn a_repeat_under_a_key_replays_the_response_and_executes_nothing() {
    let double = Double::start().await;
    let client = &double.client;
    let first = client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await;
    let mut shuffled = TWENTY_DOLLARS;
    shuffled.reverse();
    let again = client.post_with_key("k", INTENTS, &shuffled).await;
    assert_eq!(first.body, again.body);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.headers["original-request"], first.headers["request-id"]);
    assert_ne!(again.headers["request-id"], first.headers["request-id"]);
    assert_eq!(client.ledger().await["payment_intents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_reused_with_other_parameters_or_for_another_endpoint_is_refused() {
    let double = Double::start().await;
    let client = &double.client;
    client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await;
    for (path, form) in [
        (INTENTS, [("amount", "3000"), ("currency", "usd")]),
        ("/v1/refunds", [("charge", "ch_1"), ("amount", "5")]),
    ] {
        let reply = client.post_with_key("k", path, &form).await;
        assert_eq!(
            (reply.status.as_u16(), text(&reply.body["error"]["type"])),
            (400, "idempotency_error")
        );
        assert!(text(&reply.body["error"]["message"]).contains("Try using a key other than 'k'"));
    }
}

#[tokio::test]
async fn a_decline_is_saved_and_the_card_is_not_charged_again() {
    let double = Double::start().await;
    let client = &double.client;
    let intent = client.intent(&[]).await.body;
    let declined = [("payment_method", "pm_card_chargeDeclined")];
    let first = client.post_with_key("c", &confirm_path(&intent), &declined).await;
    let again = client.post_with_key("c", &confirm_path(&intent), &declined).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (402, 402));
    assert_eq!(first.body, again.body);
    assert_eq!(client.ledger().await["totals"]["usd"]["charges_failed"], 1);
}

#[tokio::test]
async fn a_request_that_is_not_executed_leaves_its_key_unused() {
    let double = Double::start().await;
    let client = &double.client;
    let invalid = client.post_with_key("k", INTENTS, &[("amount", "2000")]).await;
    assert_eq!(invalid.status, 400);
    assert_eq!(client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await.status, 200);
}

#[tokio::test]
async fn a_key_expires_after_24_hours() {
    let double = Double::start().await;
    let first = double.client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await;
    double.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(double.client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await.body, first.body);
    double.clock.advance(Duration::from_secs(1));
    assert_ne!(double.client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await.body, first.body);
}

#[tokio::test]
async fn a_key_longer_than_255_characters_is_refused() {
    let double = Double::start().await;
    let client = &double.client;
    assert_eq!(client.post_with_key(&"k".repeat(256), INTENTS, &TWENTY_DOLLARS).await.status, 400);
    assert_eq!(client.post_with_key(&"k".repeat(255), INTENTS, &TWENTY_DOLLARS).await.status, 200);
}

#[tokio::test]
async fn a_key_is_in_use_while_its_first_request_is_in_progress() {
    let double = Double::start().await;
    let client = &double.client;
    client.arm(json!({"kind": "hang", "times": 1, "delay_ms": 600_000})).await;
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.try_post_with_key("k", INTENTS, &TWENTY_DOLLARS).await }
    });
    wait_for_fault_hit(client).await;
    let meanwhile = client.post_with_key("k", INTENTS, &TWENTY_DOLLARS).await;
    assert_eq!(
        (meanwhile.status.as_u16(), text(&meanwhile.body["error"]["code"])),
        (409, "idempotency_key_in_use")
    );
    hanging.abort();
}
