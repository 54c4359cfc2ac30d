//! The states of a PaymentIntent, and the effect of each test card.

use crate::support::{Double, confirm_path, text};

#[tokio::test]
async fn a_payment_is_created_confirmed_and_charged_once() {
    let double = Double::start().await;
    let client = &double.client;
    let created = client.intent(&[("metadata[order_id]", "o-7")]).await.body;
    assert_eq!(created["status"], "requires_payment_method");
    let method = client
        .post("/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_mastercard")])
        .await
        .body;
    assert_eq!(method["card"]["brand"], "mastercard");

    let paid =
        client.post(&confirm_path(&created), &[("payment_method", text(&method["id"]))]).await.body;
    assert_eq!((text(&paid["status"]), &paid["amount_received"]), ("succeeded", &2000.into()));
    let charges =
        client.get(&format!("/v1/charges?payment_intent={}", text(&created["id"]))).await.body;
    assert_eq!(charges["data"].as_array().unwrap().len(), 1);
    assert_eq!(charges["data"][0]["id"], paid["latest_charge"]);
    assert_eq!(charges["data"][0]["metadata"]["order_id"], "o-7");
}

#[tokio::test]
async fn every_declining_test_card_is_declined_with_its_code() {
    let double = Double::start().await;
    let client = &double.client;
    let cases = [
        ("pm_card_chargeDeclined", "4000000000000002", "card_declined", Some("generic_decline")),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "4000000000009995",
            "card_declined",
            Some("insufficient_funds"),
        ),
        (
            "pm_card_visa_chargeDeclinedLostCard",
            "4000000000009987",
            "card_declined",
            Some("lost_card"),
        ),
        (
            "pm_card_visa_chargeDeclinedStolenCard",
            "4000000000009979",
            "card_declined",
            Some("stolen_card"),
        ),
        ("pm_card_radarBlock", "4100000000000019", "card_declined", Some("fraudulent")),
        (
            "pm_card_chargeDeclinedVelocityLimitExceeded",
            "4000000000006975",
            "card_declined",
            Some("card_velocity_exceeded"),
        ),
        ("pm_card_chargeDeclinedExpiredCard", "4000000000000069", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "4000000000000119", "processing_error", None),
    ];
    for (built_in, number, code, decline_code) in cases {
        let card = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2034"),
        ];
        let typed = client.post("/v1/payment_methods", &card).await.body;
        for method in [built_in, text(&typed["id"])] {
            let intent = client.intent(&[]).await.body;
            let reply = client.post(&confirm_path(&intent), &[("payment_method", method)]).await;
            let error = &reply.body["error"];
            assert_eq!(
                (reply.status.as_u16(), text(&error["type"]), text(&error["code"])),
                (402, "card_error", code),
                "{reply:?}"
            );
            assert_eq!(error["decline_code"].as_str(), decline_code);
            assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
            assert_eq!(error["payment_intent"]["last_payment_error"]["code"], code);
            assert_eq!(error["payment_intent"]["latest_charge"], error["charge"]);
            let charge = client.get(&format!("/v1/charges/{}", text(&error["charge"]))).await.body;
            assert_eq!((text(&charge["status"]), text(&charge["failure_code"])), ("failed", code));
        }
    }
    assert_eq!(client.ledger().await["totals"]["usd"]["charged"], 0);
}

#[tokio::test]
async fn another_card_can_pay_the_same_intent_after_a_decline() {
    let double = Double::start().await;
    let client = &double.client;
    let intent = client.intent(&[]).await.body;
    client.post(&confirm_path(&intent), &[("payment_method", "pm_card_chargeDeclined")]).await;
    let missing = client.post(&confirm_path(&intent), &[]).await;
    assert_eq!(missing.body["error"]["code"], "payment_intent_unexpected_state");
    let paid =
        client.post(&confirm_path(&intent), &[("payment_method", "pm_card_visa")]).await.body;
    assert_eq!(
        (text(&paid["status"]), &paid["last_payment_error"]),
        ("succeeded", &serde_json::Value::Null)
    );
    let totals = client.ledger().await["totals"]["usd"].clone();
    assert_eq!((&totals["charges_succeeded"], &totals["charges_failed"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn a_card_that_requires_3d_secure_is_declined_or_waits_as_requested() {
    let double = Double::start().await;
    let client = &double.client;
    let intent = client.intent(&[]).await.body;
    let method = ("payment_method", "pm_card_authenticationRequired");
    let refused =
        client.post(&confirm_path(&intent), &[method, ("error_on_requires_action", "true")]).await;
    assert_eq!(
        (refused.status.as_u16(), text(&refused.body["error"]["code"])),
        (402, "authentication_required")
    );
    assert_eq!(refused.body["error"]["payment_intent"]["status"], "requires_payment_method");

    let waiting = client.post(&confirm_path(&intent), &[method]).await.body;
    assert_eq!(
        (text(&waiting["status"]), text(&waiting["next_action"]["type"])),
        ("requires_action", "use_stripe_sdk")
    );
    let done = client
        .post(&format!("/_authenticate/{}", text(&intent["id"])), &[("outcome", "success")])
        .await
        .body;
    assert_eq!(done["status"], "succeeded");
}

#[tokio::test]
async fn a_failed_3d_secure_check_requires_another_payment_method() {
    let double = Double::start().await;
    let client = &double.client;
    let intent = client
        .intent(&[("payment_method", "pm_card_threeDSecure2Required"), ("confirm", "true")])
        .await
        .body;
    let path = format!("/_authenticate/{}", text(&intent["id"]));
    let failed = client.post(&path, &[("outcome", "failure")]).await.body;
    assert_eq!(failed["status"], "requires_payment_method");
    assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");
    assert_eq!(client.ledger().await["charges"], serde_json::json!([]));
}

#[tokio::test]
async fn a_final_intent_can_be_neither_confirmed_nor_canceled() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let open = client.intent(&[]).await.body;
    let cancel =
        |intent: &serde_json::Value| format!("/v1/payment_intents/{}/cancel", text(&intent["id"]));
    let canceled = client.post(&cancel(&open), &[("cancellation_reason", "abandoned")]).await.body;
    assert_eq!(
        (text(&canceled["status"]), text(&canceled["cancellation_reason"])),
        ("canceled", "abandoned")
    );
    for intent in [paid, canceled] {
        for path in [cancel(&intent), confirm_path(&intent)] {
            let reply = client.post(&path, &[]).await;
            assert_eq!(
                (reply.status.as_u16(), text(&reply.body["error"]["code"])),
                (400, "payment_intent_unexpected_state")
            );
            assert_eq!(reply.body["error"]["payment_intent"]["status"], intent["status"]);
        }
    }
}

#[tokio::test]
async fn exactly_one_of_many_concurrent_confirmations_and_cancellations_wins() {
    let double = Double::start().await;
    let client = &double.client;
    let intent = client.intent(&[]).await.body;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let (client, intent) = (client.clone(), intent.clone());
            tokio::spawn(async move {
                if n % 2 == 0 {
                    client
                        .post(&confirm_path(&intent), &[("payment_method", "pm_card_visa")])
                        .await
                        .status
                        .is_success()
                } else {
                    client
                        .post(&format!("/v1/payment_intents/{}/cancel", text(&intent["id"])), &[])
                        .await
                        .status
                        .is_success()
                }
            })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += u32::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    let charges = client.ledger().await["charges"].as_array().unwrap().len();
    assert!(charges <= 1);
}

#[tokio::test]
async fn a_payment_method_without_a_customer_pays_once() {
    let double = Double::start().await;
    let client = &double.client;
    let method = client
        .post("/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")])
        .await
        .body;
    client.paid_with(text(&method["id"])).await;
    let again = client.intent(&[("payment_method", text(&method["id"]))]).await;
    assert_eq!(again.status, 400, "{again:?}");
}

#[tokio::test]
async fn an_intent_that_allows_redirects_is_confirmed_only_with_a_return_url() {
    let double = Double::start().await;
    let client = &double.client;
    let amount = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
    ];
    let refused = client.post("/v1/payment_intents", &amount).await;
    assert!(text(&refused.body["error"]["message"]).contains("return_url"), "{refused:?}");
    let never = [
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
    ];
    let paid = client.post("/v1/payment_intents", &[amount.as_slice(), &never].concat()).await;
    assert_eq!(paid.body["status"], "succeeded");
}

#[tokio::test]
async fn a_mistyped_card_is_refused_when_it_is_entered() {
    let double = Double::start().await;
    let client = &double.client;
    let enter = |number: &'static str, month: &'static str, year: &'static str| {
        let client = client.clone();
        async move {
            let card = [
                ("type", "card"),
                ("card[number]", number),
                ("card[exp_month]", month),
                ("card[exp_year]", year),
            ];
            let reply = client.post("/v1/payment_methods", &card).await;
            (reply.status.as_u16(), text(&reply.body["error"]["code"]).to_owned())
        }
    };
    assert_eq!(enter("4242424242424241", "12", "2034").await, (402, "incorrect_number".to_owned()));
    assert_eq!(
        enter("4242424242424242", "13", "2034").await,
        (402, "invalid_expiry_month".to_owned())
    );
    assert_eq!(
        enter("4242424242424242", "12", "2020").await,
        (402, "invalid_expiry_year".to_owned())
    );
}
