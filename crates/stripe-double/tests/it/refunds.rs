//! Refunds.

use std::time::Duration;

use crate::support::{Double, text};

#[tokio::test]
async fn a_refund_without_an_amount_refunds_the_remainder() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let of = ("payment_intent", text(&paid["id"]));
    let part = client
        .post(
            "/v1/refunds",
            &[of, ("amount", "500"), ("metadata[why]", "late"), ("reason", "duplicate")],
        )
        .await
        .body;
    assert_eq!(
        (&part["amount"], text(&part["status"]), text(&part["metadata"]["why"])),
        (&500.into(), "succeeded", "late")
    );
    let too_much = client.post("/v1/refunds", &[of, ("amount", "1501")]).await;
    assert_eq!(
        too_much.body["error"]["message"],
        "Refund amount ($15.01) is greater than unrefunded amount on charge ($15.00)"
    );
    let rest = client.post("/v1/refunds", &[("charge", text(&paid["latest_charge"]))]).await.body;
    assert_eq!(rest["amount"], 1500);
    let again = client.post("/v1/refunds", &[of]).await;
    assert_eq!(
        (again.status.as_u16(), text(&again.body["error"]["code"])),
        (400, "charge_already_refunded")
    );

    let listed =
        client.get(&format!("/v1/refunds?payment_intent={}", text(&paid["id"]))).await.body;
    assert_eq!((&listed["data"][0]["id"], &listed["data"][1]["id"]), (&rest["id"], &part["id"]));
    let charge = client.get(&format!("/v1/charges/{}", text(&paid["latest_charge"]))).await.body;
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&2000.into(), &true.into()));
    assert_eq!(client.ledger().await["totals"]["usd"]["kept"], 0);
}

#[tokio::test]
async fn a_refund_never_exceeds_the_charge() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let reply = client
        .post("/v1/refunds", &[("payment_intent", text(&paid["id"])), ("amount", "2001")])
        .await;
    assert_eq!(
        reply.body["error"]["message"],
        "Refund amount ($20.01) is greater than charge amount ($20.00)"
    );
}

#[tokio::test]
async fn exactly_one_of_many_concurrent_full_refunds_is_made() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (client, id) = (client.clone(), text(&paid["id"]).to_owned());
            tokio::spawn(async move {
                client.post("/v1/refunds", &[("payment_intent", &id)]).await.status.is_success()
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += u32::from(task.await.unwrap());
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn an_unpaid_intent_has_nothing_to_refund() {
    let double = Double::start().await;
    let client = &double.client;
    let open = client.intent(&[]).await.body;
    let reply = client.post("/v1/refunds", &[("payment_intent", text(&open["id"]))]).await;
    assert!(
        text(&reply.body["error"]["message"]).contains("does not have a successful charge"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_refund_that_fails_later_can_be_retried() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_refundFail").await;
    let refund = client.post("/v1/refunds", &[("payment_intent", text(&paid["id"]))]).await.body;
    assert_eq!(refund["status"], "succeeded");
    double.clock.advance(Duration::from_secs(60));
    let refund = client.get(&format!("/v1/refunds/{}", text(&refund["id"]))).await.body;
    assert_eq!(
        (text(&refund["status"]), text(&refund["failure_reason"])),
        ("failed", "expired_or_canceled_card")
    );
    assert_eq!(client.ledger().await["totals"]["usd"]["kept"], 2000);
    assert_eq!(
        client.post("/v1/refunds", &[("payment_intent", text(&paid["id"]))]).await.status,
        200
    );
}

#[tokio::test]
async fn a_pending_refund_succeeds_later_even_after_a_restart() {
    let double = Double::start().await;
    let paid = double.client.paid_with("pm_card_pendingRefund").await;
    let refund =
        double.client.post("/v1/refunds", &[("payment_intent", text(&paid["id"]))]).await.body;
    assert_eq!(
        (text(&refund["status"]), text(&refund["pending_reason"])),
        ("pending", "processing")
    );
    let double = double.restarted().await;
    double.clock.advance(Duration::from_secs(60));
    let refund = double.client.get(&format!("/v1/refunds/{}", text(&refund["id"]))).await.body;
    assert_eq!(refund["status"], "succeeded");
}
