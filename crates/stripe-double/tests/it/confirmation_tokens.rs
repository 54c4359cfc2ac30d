//! What Stripe.js creates and the server confirms with.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Double, confirm_path, text};

const CARD: [(&str, &str); 5] = [
    ("payment_method_data[type]", "card"),
    ("payment_method_data[card][number]", "4242424242424242"),
    ("payment_method_data[card][exp_month]", "12"),
    ("payment_method_data[card][exp_year]", "2034"),
    ("payment_method_data[card][cvc]", "123"),
];
const KEY: (&str, &str) = ("key", "pk_test_123");

#[tokio::test]
async fn a_page_creates_a_token_with_which_the_server_pays_once() {
    let double = Double::start().await;
    let client = &double.client;
    let form = [CARD.as_slice(), &[KEY, ("return_url", "https://shop.example/back")]].concat();
    let page = client.browse(Method::POST, "/v1/confirmation_tokens", &form).await;
    assert_eq!(page.headers["access-control-allow-origin"], "*");
    let token = page.json();
    assert_eq!(token["payment_method_preview"]["card"]["last4"], "4242");
    assert_eq!(token["payment_method_preview"]["id"], json!(null));
    let confirm = [
        ("confirm", "true"),
        ("confirmation_token", text(&token["id"])),
        ("capture_method", "manual"),
    ];
    let authorised = client.intent(&confirm).await.body;
    assert_eq!(authorised["status"], "requires_capture");
    let method = text(&authorised["payment_method"]);
    assert_eq!(
        client.get(&format!("/v1/payment_methods/{method}")).await.body["card"]["exp_year"],
        2034
    );
    let used = client.get(&format!("/v1/confirmation_tokens/{}", text(&token["id"]))).await.body;
    assert_eq!((&used["payment_intent"], &used["expires_at"]), (&authorised["id"], &json!(null)));
    let again = client.intent(&confirm).await;
    assert_eq!(again.body["error"]["param"], "confirmation_token", "{again:?}");
    assert_eq!(client.ledger().await["charges"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_can_be_made_for_tests_and_expires() {
    let double = Double::start().await;
    let client = &double.client;
    let of = |card: &'static str| async move {
        let form = [("payment_method", card)];
        client.post("/v1/test_helpers/confirmation_tokens", &form).await
    };
    let declined = of("pm_card_visa_chargeDeclinedInsufficientFunds").await.body;
    let intent = client.intent(&[]).await.body;
    let refused =
        client.post(&confirm_path(&intent), &[("confirmation_token", text(&declined["id"]))]).await;
    assert_eq!(refused.body["error"]["decline_code"], "insufficient_funds");

    let token = of("pm_card_visa").await.body;
    double.clock.advance(Duration::from_secs(12 * 60 * 60));
    let late =
        client.post(&confirm_path(&intent), &[("confirmation_token", text(&token["id"]))]).await;
    assert!(text(&late.body["error"]["message"]).contains("has expired"), "{late:?}");
    let both = [("confirmation_token", "ctoken_1"), ("payment_method", "pm_card_visa")];
    let both = client.post(&confirm_path(&intent), &both).await;
    assert_eq!(both.body["error"]["code"], "parameters_exclusive");
}

#[tokio::test]
async fn a_publishable_key_does_only_what_a_browser_may() {
    let double = Double::start().await;
    let client = &double.client;
    let intent = client.intent(&[]).await.body;
    let (id, secret) = (text(&intent["id"]), text(&intent["client_secret"]));
    let show = |query: String| {
        let path = format!("/v1/payment_intents/{id}?key=pk_test_123{query}");
        async move { client.browse(Method::GET, &path, &[]).await }
    };
    let shown = show(format!("&client_secret={secret}")).await.json();
    assert_eq!(
        (&shown["status"], shown.get("metadata")),
        (&json!("requires_payment_method"), None)
    );
    assert_eq!(show("&client_secret=pi_1_secret_2".to_owned()).await.status, 400);
    assert_eq!(show(String::new()).await.status, 400);

    for path in [
        "/v1/payment_intents",
        &confirm_path(&intent),
        "/v1/refunds",
        "/v1/test_helpers/confirmation_tokens",
    ] {
        let refused = client.browse(Method::POST, path, &[KEY]).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
        assert_eq!(refused.json()["error"]["code"], "secret_key_required");
    }
    let without = client.browse(Method::POST, "/v1/confirmation_tokens", &CARD).await;
    assert_eq!(without.status, 401);
    let secret_key = [CARD.as_slice(), &[("key", "sk_test_123")]].concat();
    let secret_key = client.browse(Method::POST, "/v1/confirmation_tokens", &secret_key).await;
    assert_eq!(secret_key.status, 401, "a secret key isn't accepted as a parameter");
    let preflight = client.browse(Method::OPTIONS, "/v1/confirmation_tokens", &[]).await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.headers.contains_key("access-control-allow-headers"));
}

#[tokio::test]
async fn a_wrong_card_gets_no_token() {
    let double = Double::start().await;
    let mut form = CARD.to_vec();
    form[1].1 = "4242424242424241";
    form.push(KEY);
    let page = double.client.browse(Method::POST, "/v1/confirmation_tokens", &form).await;
    assert_eq!(page.json()["error"]["code"], "incorrect_number");
}

#[tokio::test]
async fn the_stand_in_for_stripe_js_is_served() {
    let double = Double::start().await;
    for (path, kind) in [
        ("/v3/", "text/javascript"),
        ("/v3/payment-element.html", "text/html"),
        ("/v3/payment-element.js", "text/javascript"),
        ("/v3/challenge-done.js", "text/javascript"),
        ("/v3/pages.css", "text/css"),
    ] {
        let page = double.client.browse(Method::GET, path, &[]).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
    }
}
