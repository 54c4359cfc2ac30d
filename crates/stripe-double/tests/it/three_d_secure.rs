//! 3-D Secure: the challenge, its page, and the way back.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Client, Double, Page, cancel_path, text};

const RETURN_URL: &str = "https://shop.example/orders/7/return?from=bank";

/// An intent whose challenge is open, and the address of the challenge.
async fn challenged(client: &Client, card: &str, more: &[(&str, &str)]) -> (Value, String) {
    let confirm = [("payment_method", card), ("confirm", "true"), ("capture_method", "manual")];
    let intent = client.intent(&[&confirm, more].concat()).await.body;
    assert_eq!(intent["status"], "requires_action", "{intent}");
    let action = &intent["next_action"];
    let url = match text(&action["type"]) {
        "redirect_to_url" => text(&action["redirect_to_url"]["url"]),
        "use_stripe_sdk" => text(&action["use_stripe_sdk"]["stripe_js"]),
        other => panic!("{other}"),
    };
    (intent.clone(), url.to_owned())
}

async fn answer(client: &Client, url: &str, outcome: &str) -> Page {
    let (_, secret) = url.split_once("secret=").unwrap();
    client.browse(Method::POST, url, &[("secret", secret), ("outcome", outcome)]).await
}

#[tokio::test]
async fn a_buyer_who_was_redirected_returns_with_the_outcome() {
    let double = Double::start().await;
    let client = &double.client;
    for (card, outcome, status, redirect_status) in [
        ("pm_card_authenticationRequired", "success", "requires_capture", "succeeded"),
        ("pm_card_authenticationRequired", "failure", "requires_payment_method", "failed"),
        (
            "pm_card_threeDSecureRequiredChargeDeclined",
            "success",
            "requires_payment_method",
            "failed",
        ),
        ("pm_card_authenticationRequired", "leave", "requires_action", "pending"),
    ] {
        let (intent, url) = challenged(client, card, &[("return_url", RETURN_URL)]).await;
        assert!(url.starts_with(&double.running.url()), "{url}");
        let page = client.browse(Method::GET, &url, &[]).await;
        assert!(page.text.contains("$20.00"), "{page:?}");
        let page = answer(client, &url, outcome).await;
        let back = url::Url::parse(page.headers["location"].to_str().unwrap()).unwrap();
        let query: std::collections::BTreeMap<_, _> = back.query_pairs().into_owned().collect();
        assert_eq!((back.path(), query["from"].as_str()), ("/orders/7/return", "bank"));
        assert_eq!(query["payment_intent"], text(&intent["id"]));
        assert_eq!(query["payment_intent_client_secret"], text(&intent["client_secret"]));
        assert_eq!(query["redirect_status"], redirect_status);
        assert_eq!(client.reread(&intent).await["status"], status, "{card} {outcome}");
    }
}

#[tokio::test]
async fn stripe_js_shows_the_challenge_in_a_frame() {
    let double = Double::start().await;
    let client = &double.client;
    let sdk = [("return_url", RETURN_URL), ("use_stripe_sdk", "true")];
    let (intent, url) = challenged(client, "pm_card_authenticationRequired", &sdk).await;
    assert_eq!(intent["next_action"]["type"], "use_stripe_sdk");
    let done = answer(client, &url, "success").await;
    assert_eq!(done.status, 200);
    assert!(done.text.contains("challenge-done.js"), "{done:?}");
    assert_eq!(client.reread(&intent).await["status"], "requires_capture");
}

#[tokio::test]
async fn a_confirmation_token_stands_for_stripe_js_unless_the_server_refuses_it() {
    let double = Double::start().await;
    let client = &double.client;
    for (more, kind) in
        [(None, "use_stripe_sdk"), (Some(("use_stripe_sdk", "false")), "redirect_to_url")]
    {
        let of = [
            ("payment_method", "pm_card_authenticationRequired"),
            ("return_url", "https://shop.example/of-the-token"),
        ];
        let token = client.post("/v1/test_helpers/confirmation_tokens", &of).await.body;
        let mut confirm = vec![("confirmation_token", text(&token["id"])), ("confirm", "true")];
        confirm.extend(more);
        let action = client.intent(&confirm).await.body["next_action"].clone();
        assert_eq!(action["type"], kind);
        if kind == "redirect_to_url" {
            assert_eq!(action[kind]["return_url"], "https://shop.example/of-the-token");
        }
    }
}

#[tokio::test]
async fn a_challenge_is_answered_once_and_only_with_its_secret() {
    let double = Double::start().await;
    let client = &double.client;
    let (intent, url) = challenged(client, "pm_card_authenticationRequired", &[]).await;
    let forged = url.replace("secret=challenge_", "secret=challenge_0");
    assert_eq!(client.browse(Method::GET, &forged, &[]).await.status, 410);
    assert_eq!(answer(client, &forged, "success").await.status, 410);
    assert_eq!(client.reread(&intent).await["status"], "requires_action");
    assert_eq!(answer(client, &url, "success").await.status, 200);
    assert_eq!(answer(client, &url, "failure").await.status, 410);
    assert_eq!(client.reread(&intent).await["status"], "requires_capture");
}

#[tokio::test]
async fn a_canceled_payment_closes_its_challenge() {
    let double = Double::start().await;
    let client = &double.client;
    let (intent, url) = challenged(client, "pm_card_authenticationRequired", &[]).await;
    assert_eq!(client.post(&cancel_path(&intent), &[]).await.status, 200);
    assert_eq!(client.browse(Method::GET, &url, &[]).await.status, 410);
    assert_eq!(answer(client, &url, "success").await.status, 410);
    assert_eq!(client.reread(&intent).await["status"], "canceled");
    assert_eq!(client.ledger().await["charges"], serde_json::json!([]));
}

#[tokio::test]
async fn a_new_attempt_closes_the_challenge_of_the_one_before() {
    let double = Double::start().await;
    let client = &double.client;
    let (intent, first) = challenged(client, "pm_card_authenticationRequired", &[]).await;
    let again = [("payment_method", "pm_card_visa")];
    let paid = client.post(&crate::support::confirm_path(&intent), &again).await.body;
    assert_eq!(paid["status"], "requires_capture");
    assert_eq!(answer(client, &first, "success").await.status, 410);
    assert_eq!(client.ledger().await["charges"].as_array().unwrap().len(), 1);
}
