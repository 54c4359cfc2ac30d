//! Disputes, and what else people and banks do without a request to the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    receiver::{Receiver, settled},
    support::{Client, Double, text},
};

const OPEN: [&str; 2] = ["charge.dispute.created", "charge.dispute.funds_withdrawn"];

async fn dispute(client: &Client, intent: &Value, form: &[(&str, &str)]) -> Value {
    let path = format!("/_dashboard/payment_intents/{}/dispute", text(&intent["id"]));
    let reply = client.post(&path, form).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

async fn refund(client: &Client, intent: &Value) -> Result<Value, String> {
    let reply = client.post("/v1/refunds", &[("payment_intent", text(&intent["id"]))]).await;
    match reply.status.as_u16() {
        200 => Ok(reply.body),
        400 => Err(text(&reply.body["error"]["code"]).to_owned()),
        _ => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn a_disputed_charge_can_t_be_refunded_until_the_dispute_is_won() {
    let double = Double::start().await;
    let client = &double.client;
    let (mut receiver, _) = Receiver::registered(
        client,
        &[
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ],
    )
    .await;
    let paid = client.paid_with("pm_card_visa").await;
    let opened = dispute(client, &paid, &[("reason", "product_not_received")]).await;
    assert_eq!(
        (text(&opened["status"]), &opened["amount"], &opened["is_charge_refundable"]),
        ("needs_response", &json!(2000), &json!(false))
    );
    assert!(receiver.types(2).await.iter().all(|kind| OPEN.contains(&kind.as_str())));
    assert_eq!(client.charge_of(&paid).await["disputed"], true);
    assert_eq!(refund(client, &paid).await.unwrap_err(), "charge_disputed");
    let totals = client.ledger().await["totals"]["usd"].clone();
    assert_eq!((&totals["disputed"], &totals["kept"]), (&json!(2000), &json!(2000)));

    let path = format!("/v1/disputes/{}", text(&opened["id"]));
    let reviewed = client.post(&path, &[("evidence[uncategorized_text]", "we sent it")]).await.body;
    assert_eq!(reviewed["status"], "under_review");
    assert_eq!(receiver.next().await.kind(), "charge.dispute.updated");
    let decide = format!("/_dashboard/disputes/{}/decide", text(&opened["id"]));
    assert_eq!(client.post(&decide, &[("outcome", "won")]).await.body["status"], "won");
    let closed = receiver.types(2).await;
    assert!(closed.contains("charge.dispute.closed"), "{closed:?}");
    assert!(closed.contains("charge.dispute.funds_reinstated"), "{closed:?}");
    assert_eq!(client.post(&decide, &[("outcome", "lost")]).await.status, 400);
    assert_eq!(refund(client, &paid).await.unwrap()["amount"], 2000);
    assert_eq!(client.ledger().await["totals"]["usd"]["kept"], 0);
}

#[tokio::test]
async fn a_lost_dispute_takes_the_money_and_excludes_a_refund() {
    let double = Double::start().await;
    let client = &double.client;
    for by in ["evidence", "acceptance"] {
        let paid = client.paid_with("pm_card_visa").await;
        let part = [("payment_intent", text(&paid["id"])), ("amount", "500")];
        client.post("/v1/refunds", &part).await;
        let opened = dispute(client, &paid, &[]).await;
        assert_eq!(opened["amount"], 1500, "what is left of it");
        let path = format!("/v1/disputes/{}", text(&opened["id"]));
        let lost = match by {
            "evidence" => {
                client.post(&path, &[("evidence[uncategorized_text]", "losing_evidence")]).await
            }
            _ => client.post(&format!("{path}/close"), &[]).await,
        };
        assert_eq!(lost.body["status"], "lost", "{lost:?}");
        assert_eq!(refund(client, &paid).await.unwrap_err(), "charge_disputed");
        let again = format!("/_dashboard/payment_intents/{}/dispute", text(&paid["id"]));
        assert_eq!(client.post(&again, &[]).await.status, 400, "the buyer has the money");
    }
    let totals = client.ledger().await["totals"]["usd"].clone();
    assert_eq!(
        (&totals["charged"], &totals["refunded"], &totals["disputes_lost"], &totals["kept"]),
        (&json!(4000), &json!(1000), &json!(3000), &json!(0))
    );
}

#[tokio::test]
async fn an_inquiry_withdraws_nothing_and_ends_with_a_full_refund() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let inquiry = dispute(client, &paid, &[("inquiry", "true")]).await;
    assert_eq!(
        (text(&inquiry["status"]), &inquiry["is_charge_refundable"]),
        ("warning_needs_response", &json!(true))
    );
    refund(client, &paid).await.unwrap();
    let path = format!("/v1/disputes?payment_intent={}", text(&paid["id"]));
    assert_eq!(client.get(&path).await.body["data"][0]["status"], "warning_closed");
    let events = client.get("/v1/events?type=charge.dispute.*").await.body;
    let types: Vec<_> =
        events["data"].as_array().unwrap().iter().map(|it| text(&it["type"])).collect();
    assert_eq!(types, ["charge.dispute.closed", "charge.dispute.created"]);
}

#[tokio::test]
async fn the_cards_for_disputes_are_disputed_later() {
    let double = Double::start().await;
    let client = &double.client;
    for (card, reason, status) in [
        ("pm_card_createDispute", "fraudulent", "needs_response"),
        ("pm_card_createDisputeProductNotReceived", "product_not_received", "needs_response"),
        ("pm_card_createDisputeInquiry", "general", "warning_needs_response"),
    ] {
        let authorised = client.authorised_with(card).await;
        let disputes = format!("/v1/disputes?charge={}", text(&authorised["latest_charge"]));
        double.clock.advance(Duration::from_secs(60));
        assert_eq!(client.get(&disputes).await.body["data"], json!([]), "not captured yet");
        client.post(&crate::support::capture_path(&authorised), &[]).await;
        assert_eq!(client.get(&disputes).await.body["data"], json!([]));
        double.clock.advance(Duration::from_secs(60));
        let listed = client.get(&disputes).await.body["data"].clone();
        assert_eq!((text(&listed[0]["reason"]), text(&listed[0]["status"])), (reason, status));
    }
}

#[tokio::test]
async fn what_the_dashboard_does_is_an_event_without_a_request() {
    let double = Double::start().await;
    let client = &double.client;
    let captured = client.authorised_with("pm_card_visa").await;
    let canceled = client.authorised_with("pm_card_visa").await;
    let expired = client.authorised_with("pm_card_visa").await;
    let types = ["charge.captured", "payment_intent.canceled", "charge.expired", "charge.refunded"];
    let (mut receiver, _) = Receiver::registered(client, &types).await;
    let action = |intent: &Value, name: &str, form: &'static [(&'static str, &'static str)]| {
        let path = format!("/_dashboard/payment_intents/{}/{name}", text(&intent["id"]));
        async move { client.post(&path, form).await }
    };
    let partly = action(&captured, "capture", &[("amount_to_capture", "1500")]).await.body;
    assert_eq!(partly["amount_received"], 1500);
    assert_eq!(action(&canceled, "cancel", &[]).await.body["status"], "canceled");
    assert_eq!(action(&expired, "expire", &[]).await.body["cancellation_reason"], "expired");
    assert_eq!(action(&expired, "expire", &[]).await.status, 400);
    let part = action(&captured, "refund", &[("amount", "500")]).await.body;
    assert_eq!((&part["amount"], text(&part["status"])), (&json!(500), "succeeded"));
    // The cancellation of the expired one is an event as well.
    for _ in 0..5 {
        assert_eq!(receiver.next().await.event["request"]["id"], json!(null));
    }
    settled(client).await;
    assert!(receiver.is_empty());
    // The seller's refund of the rest gives back exactly what was captured.
    let rest = client.post("/v1/refunds", &[("payment_intent", text(&captured["id"]))]).await.body;
    assert_eq!(rest["amount"], 1000);
    assert_eq!(client.charge_of(&captured).await["refunded"], true);
}

#[tokio::test]
async fn a_refund_is_returned_by_the_bank_days_later() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let first = refund(client, &paid).await.unwrap();
    let settle = format!("/_dashboard/refunds/{}/settle", text(&first["id"]));
    let failed = client.post(&settle, &[("outcome", "failed")]).await.body;
    assert_eq!(failed["status"], "failed");
    assert_eq!(client.post(&settle, &[("outcome", "succeeded")]).await.status, 400);
    assert_eq!(client.charge_of(&paid).await["amount_refunded"], 0);
    assert_eq!(refund(client, &paid).await.unwrap()["status"], "succeeded");

    let slow = client.paid_with("pm_card_pendingRefund").await;
    let pending = refund(client, &slow).await.unwrap();
    let settle = format!("/_dashboard/refunds/{}/settle", text(&pending["id"]));
    assert_eq!(client.post(&settle, &[("outcome", "failed")]).await.body["status"], "failed");
    double.clock.advance(Duration::from_secs(60));
    let path = format!("/v1/refunds/{}", text(&pending["id"]));
    assert_eq!(client.get(&path).await.body["status"], "failed");
}
