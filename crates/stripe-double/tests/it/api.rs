//! API keys, parameters, ids, lists.

use reqwest::{Method, StatusCode};

use crate::support::{Double, text};

#[tokio::test]
async fn requests_without_a_test_key_are_refused() {
    let double = Double::start().await;
    let url = format!("{}/v1/payment_intents", double.running.url());
    let http = reqwest::Client::new();
    let status =
        |request: reqwest::RequestBuilder| async { request.send().await.unwrap().status() };
    assert_eq!(status(http.get(&url)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(http.get(&url).bearer_auth("sk_live_123")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(http.get(&url).bearer_auth("pk_test_123")).await, StatusCode::FORBIDDEN);
    assert_eq!(status(http.get(&url).basic_auth("sk_test_123", Some(""))).await, StatusCode::OK);
}

#[tokio::test]
async fn every_response_has_a_request_id_and_the_requested_version() {
    let double = Double::start().await;
    let request = double
        .client
        .request(Method::GET, "/v1/nothing")
        .header("Stripe-Version", "2026-09-30.endive");
    let reply = double.client.send(request).await.unwrap();
    assert_eq!(reply.status, 404);
    assert_eq!(reply.body["error"]["type"], "invalid_request_error");
    assert!(reply.headers["request-id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(reply.headers["stripe-version"], "2026-09-30.endive");
}

#[tokio::test]
async fn an_error_names_the_invalid_parameter() {
    let double = Double::start().await;
    let client = &double.client;
    type Form = &'static [(&'static str, &'static str)];
    let cases: &[(Form, &str, &str)] = &[
        (&[("currency", "usd")], "parameter_missing", "amount"),
        (&[("amount", "ten"), ("currency", "usd")], "parameter_invalid_integer", "amount"),
        (&[("amount", "49"), ("currency", "usd")], "amount_too_small", "amount"),
        (&[("amount", "29"), ("currency", "gbp")], "amount_too_small", "amount"),
        (&[("amount", "100000000"), ("currency", "usd")], "amount_too_large", "amount"),
        (&[("amount", "2000"), ("currency", "")], "parameter_invalid_empty", "currency"),
        (
            &[("amount", "2000"), ("currency", "usd"), ("colour", "red")],
            "parameter_unknown",
            "colour",
        ),
        (
            &[("amount", "2000"), ("currency", "usd"), ("payment_method", "pm_no")],
            "resource_missing",
            "payment_method",
        ),
        (
            &[("amount", "2000"), ("currency", "usd"), ("customer", "cus_no")],
            "resource_missing",
            "customer",
        ),
    ];
    for (form, code, param) in cases {
        let reply = client.post("/v1/payment_intents", form).await;
        assert_eq!(
            (reply.status.as_u16(), text(&reply.body["error"]["code"])),
            (400, *code),
            "{reply:?}"
        );
        assert_eq!(reply.body["error"]["param"], *param);
    }
    assert_eq!(client.ledger().await["payment_intents"], serde_json::json!([]));
}

#[tokio::test]
async fn unsupported_features_are_refused() {
    let double = Double::start().await;
    let client = &double.client;
    let reply = client.intent(&[("confirmation_method", "manual")]).await;
    assert_eq!(reply.status, 400);
    assert!(
        text(&reply.body["error"]["message"]).contains("not covered by the double"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn an_unknown_id_in_the_path_is_404() {
    let double = Double::start().await;
    let client = &double.client;
    for path in [
        "/v1/payment_intents/pi_no",
        "/v1/payment_methods/pm_no",
        "/v1/charges/ch_no",
        "/v1/refunds/re_no",
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, 404);
        assert_eq!(reply.body["error"]["code"], "resource_missing");
    }
}

#[tokio::test]
async fn lists_are_newest_first_and_paginate_in_both_directions() {
    let double = Double::start().await;
    let client = &double.client;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, text(&client.intent(&[]).await.body["id"]).to_owned());
    }
    let listed = |query: String| {
        let client = client.clone();
        async move {
            let body = client.get(&format!("/v1/payment_intents?{query}")).await.body;
            let ids: Vec<String> = body["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| text(&it["id"]).to_owned())
                .collect();
            (ids, body["has_more"].as_bool().unwrap())
        }
    };
    assert_eq!(listed("limit=2".to_owned()).await, (ids[..2].to_vec(), true));
    assert_eq!(
        listed(format!("limit=3&starting_after={}", ids[1])).await,
        (ids[2..].to_vec(), false)
    );
    assert_eq!(
        listed(format!("limit=2&ending_before={}", ids[3])).await,
        (ids[1..3].to_vec(), true)
    );
    assert_eq!(listed("created[gt]=1800000000".to_owned()).await, (Vec::new(), false));
    assert_eq!(listed("created[gte]=1800000000".to_owned()).await.0.len(), 5);
}

#[tokio::test]
async fn an_expanded_id_is_replaced_by_its_object() {
    let double = Double::start().await;
    let client = &double.client;
    let paid = client.paid_with("pm_card_visa").await;
    let path = format!(
        "/v1/payment_intents/{}?expand[]=latest_charge.payment_method&expand[]=payment_method",
        text(&paid["id"])
    );
    let body = client.get(&path).await.body;
    assert_eq!(body["latest_charge"]["object"], "charge");
    assert_eq!(body["payment_method"]["card"]["last4"], "4242");
    let refused = client.get("/v1/payment_intents?expand[]=data.amount").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let double = Double::start().await;
    let client = &double.client;
    client.intent(&[]).await;
    client.get("/v1/payment_intents/pi_no").await;
    let counted = client.get("/_requests").await.body;
    assert_eq!(counted["POST /v1/payment_intents"]["200"], 1);
    assert_eq!(counted["GET /v1/payment_intents/{id}"]["404"], 1);
    assert_eq!(client.get("/_health").await.status, 200);
}
