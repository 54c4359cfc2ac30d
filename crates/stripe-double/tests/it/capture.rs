//! Authorise now, capture later.

use std::time::Duration;

use serde_json::json;

use crate::support::{Double, cancel_path, capture_path, confirm_path, text};

const SEVEN_DAYS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[tokio::test]
async fn an_authorisation_charges_nothing_until_it_is_captured() {
    let double = Double::start().await;
    let client = &double.client;
    let authorised = client.authorised_with("pm_card_visa").await;
    assert_eq!(
        (&authorised["amount_capturable"], &authorised["amount_received"]),
        (&json!(2000), &json!(0))
    );
    let charge = client.charge_of(&authorised).await;
    assert_eq!(
        (&charge["captured"], &charge["amount_captured"], &charge["paid"]),
        (&json!(false), &json!(0), &json!(true))
    );
    let until = charge["payment_method_details"]["card"]["capture_before"].as_u64().unwrap();
    assert_eq!(until - charge["created"].as_u64().unwrap(), SEVEN_DAYS.as_secs());
    let totals = client.ledger().await["totals"]["usd"].clone();
    assert_eq!((&totals["authorised"], &totals["kept"]), (&json!(2000), &json!(0)));

    let captured = client.post(&capture_path(&authorised), &[("metadata[by]", "us")]).await.body;
    assert_eq!(
        (text(&captured["status"]), &captured["amount_received"], &captured["amount_capturable"]),
        ("succeeded", &json!(2000), &json!(0))
    );
    assert_eq!(captured["metadata"]["by"], "us");
    let charge = client.charge_of(&authorised).await;
    assert_eq!(
        (&charge["captured"], &charge["amount_captured"], &charge["amount_refunded"]),
        (&json!(true), &json!(2000), &json!(0))
    );
    assert_eq!(client.ledger().await["totals"]["usd"]["kept"], 2000);
}

#[tokio::test]
async fn a_partial_capture_releases_the_remainder_without_a_refund() {
    let double = Double::start().await;
    let client = &double.client;
    let authorised = client.authorised_with("pm_card_visa").await;
    let too_much = client.post(&capture_path(&authorised), &[("amount_to_capture", "2001")]).await;
    assert_eq!(
        (too_much.status.as_u16(), text(&too_much.body["error"]["code"])),
        (400, "amount_too_large")
    );
    let captured =
        client.post(&capture_path(&authorised), &[("amount_to_capture", "500")]).await.body;
    assert_eq!(
        (&captured["amount"], &captured["amount_received"], &captured["amount_capturable"]),
        (&json!(2000), &json!(500), &json!(0))
    );
    let charge = client.charge_of(&authorised).await;
    assert_eq!(
        (&charge["amount_captured"], &charge["amount_refunded"], &charge["refunded"]),
        (&json!(500), &json!(0), &json!(false))
    );
    let of = ("payment_intent", text(&authorised["id"]));
    let more = client.post("/v1/refunds", &[of, ("amount", "501")]).await;
    assert_eq!(more.status, 400, "{more:?}");
    assert_eq!(client.post("/v1/refunds", &[of]).await.body["amount"], 500);
    assert_eq!(client.charge_of(&authorised).await["refunded"], true);
}

#[tokio::test]
async fn an_authorisation_is_captured_once() {
    let double = Double::start().await;
    let client = &double.client;
    let authorised = client.authorised_with("pm_card_visa").await;
    let first = client.post_with_key("capture:1", &capture_path(&authorised), &[]).await;
    let again = client.post_with_key("capture:1", &capture_path(&authorised), &[]).await;
    assert_eq!((first.body, again.headers.contains_key("idempotent-replayed")), (again.body, true));
    for path in [capture_path(&authorised), cancel_path(&authorised), confirm_path(&authorised)] {
        let refused = client.post(&path, &[]).await;
        assert_eq!(
            (refused.status.as_u16(), text(&refused.body["error"]["code"])),
            (400, "payment_intent_unexpected_state")
        );
        assert_eq!(refused.body["error"]["payment_intent"]["status"], "succeeded");
    }
    assert_eq!(client.ledger().await["totals"]["usd"]["charged"], 2000);
}

#[tokio::test]
async fn a_canceled_authorisation_is_released_and_was_never_charged() {
    let double = Double::start().await;
    let client = &double.client;
    let authorised = client.authorised_with("pm_card_visa").await;
    let of = ("payment_intent", text(&authorised["id"]));
    assert_eq!(client.post("/v1/refunds", &[of]).await.status, 400);
    let of_charge = ("charge", text(&authorised["latest_charge"]));
    assert_eq!(client.post("/v1/refunds", &[of_charge]).await.status, 400);

    let canceled = client.post(&cancel_path(&authorised), &[]).await.body;
    assert_eq!(
        (text(&canceled["status"]), &canceled["amount_received"], &canceled["amount_capturable"]),
        ("canceled", &json!(0), &json!(0))
    );
    let charge = client.charge_of(&authorised).await;
    assert_eq!(
        (&charge["captured"], &charge["amount_captured"], &charge["refunded"]),
        (&json!(false), &json!(0), &json!(false))
    );
    let late = client.post(&capture_path(&authorised), &[]).await;
    assert_eq!(late.body["error"]["payment_intent"]["status"], "canceled");
    assert_eq!(client.get("/v1/refunds").await.body["data"], json!([]));
    let totals = client.ledger().await["totals"]["usd"].clone();
    assert_eq!((&totals["authorised"], &totals["charged"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn an_authorisation_expires_after_seven_days() {
    let double = Double::start().await;
    let client = &double.client;
    let authorised = client.authorised_with("pm_card_visa").await;
    double.clock.advance(SEVEN_DAYS - Duration::from_millis(1));
    assert_eq!(client.reread(&authorised).await["status"], "requires_capture");
    double.clock.advance(Duration::from_millis(1));
    let expired = client.reread(&authorised).await;
    assert_eq!(
        (text(&expired["status"]), text(&expired["cancellation_reason"])),
        ("canceled", "expired")
    );
    assert_eq!(client.charge_of(&authorised).await["captured"], false);
    let late = client.post(&capture_path(&authorised), &[]).await;
    assert_eq!(late.body["error"]["code"], "payment_intent_unexpected_state");
}

#[tokio::test]
async fn the_clock_is_set_ahead_by_a_request_and_stays_so_after_a_restart() {
    let double = Double::start().await;
    let first = double.client.authorised_with("pm_card_visa").await;
    double.client.advance_ms(u64::try_from(SEVEN_DAYS.as_millis()).unwrap()).await;
    assert_eq!(double.client.reread(&first).await["status"], "canceled");
    let second = double.client.authorised_with("pm_card_visa").await;
    let double = double.restarted().await;
    assert_eq!(double.client.reread(&first).await["status"], "canceled");
    let third = double.client.authorised_with("pm_card_visa").await;
    let created = |intent: &serde_json::Value| intent["created"].as_u64().unwrap();
    assert_eq!(created(&second) - created(&first), SEVEN_DAYS.as_secs());
    assert_eq!(created(&third), created(&second));
}

#[tokio::test]
async fn either_a_capture_or_a_cancellation_wins() {
    let double = Double::start().await;
    let client = &double.client;
    for _ in 0..10 {
        let authorised = client.authorised_with("pm_card_visa").await;
        let (capture, cancel) = (capture_path(&authorised), cancel_path(&authorised));
        let (captured, canceled) =
            tokio::join!(client.post(&capture, &[]), client.post(&cancel, &[]));
        assert_ne!(captured.status.is_success(), canceled.status.is_success());
        let charge = client.charge_of(&authorised).await;
        assert_eq!(charge["captured"], captured.status.is_success());
    }
}

#[tokio::test]
async fn a_card_with_3d_secure_is_authorised_after_the_challenge() {
    let double = Double::start().await;
    let client = &double.client;
    let manual = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting =
        client.intent(&[manual.as_slice(), &[("capture_method", "manual")]].concat()).await.body;
    assert_eq!(waiting["status"], "requires_action");
    let path = format!("/_authenticate/{}", text(&waiting["id"]));
    let authorised = client.post(&path, &[("outcome", "success")]).await.body;
    assert_eq!(authorised["status"], "requires_capture");
    let declined = client
        .intent(&[
            ("payment_method", "pm_card_visa_chargeDeclinedInsufficientFunds"),
            ("confirm", "true"),
            ("capture_method", "manual"),
        ])
        .await;
    assert_eq!(declined.body["error"]["decline_code"], "insufficient_funds");
}
