//! The double's objects have the fields of Stripe's own published example objects, with the same types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Double, capture_path, text};

const PUBLISHED: &str = include_str!("stripe/keys.txt");

/// Fields of the examples that the double's objects don't have, and why.
const ABSENT: &[(&str, &str)] = &[
    // Since 2022-11-15 only if it is expanded.
    ("charge", "refunds"),
    // The example is of a bank account.
    ("confirmation_token", "payment_method_preview.us_bank_account"),
];

/// Fields that Stripe documents and the examples leave out.
const ADDITIONAL: &[(&str, &str)] = &[
    ("charge", "outcome.risk_level"),
    ("charge", "outcome.risk_score"),
    ("charge", "payment_method_details.card.capture_before"),
    ("charge", "radar_options"),
    ("confirmation_token", "payment_method_preview.card"),
    ("event", "data.previous_attributes"),
    ("payment_intent", "automatic_payment_methods.allow_redirects"),
    ("refund", "destination_details.card.reference_status"),
    ("refund", "destination_details.card.reference_type"),
    ("refund", "failure_balance_transaction"),
    ("refund", "failure_reason"),
    ("refund", "pending_reason"),
    ("webhook_endpoint", "secret"),
];

type Types = BTreeMap<String, &'static str>;

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// The paths below `value`, as far as the examples have any.
fn paths(value: &Value, path: &str, expanded: &BTreeSet<String>, types: &mut Types) {
    let Some(object) = value.as_object() else { return };
    for (name, inner) in object {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if expanded.contains(&path) {
            paths(inner, &path, expanded, types);
        }
        types.insert(path, kind(inner));
    }
}

fn published() -> BTreeMap<&'static str, Types> {
    let mut published: BTreeMap<_, Types> = BTreeMap::new();
    for line in PUBLISHED.lines().filter(|line| !line.starts_with('#')) {
        let [object, path, kind] =
            line.split(' ').collect::<Vec<_>>().try_into().expect("three words");
        published.entry(object).or_default().insert(path.to_owned(), kind);
    }
    published
}

/// Every kind of object in the states that have the most fields.
async fn samples(double: &Double) -> Vec<(&'static str, Value)> {
    let client = &double.client;
    let mut samples = Vec::new();
    let endpoint = [("url", "http://127.0.0.1:9/webhook"), ("enabled_events[]", "no.event")];
    samples.push(("webhook_endpoint", client.post("/v1/webhook_endpoints", &endpoint).await.body));

    let token = [("payment_method", "pm_card_authenticationRequired")];
    let token = client.post("/v1/test_helpers/confirmation_tokens", &token).await.body;
    let form = [
        ("amount", "2000"),
        ("currency", "usd"),
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
        ("confirmation_token", text(&token["id"])),
        ("confirm", "true"),
        ("capture_method", "manual"),
    ];
    let challenged = client.post("/v1/payment_intents", &form).await.body;
    let answer = format!("/_authenticate/{}", text(&challenged["id"]));
    let authorised = client.post(&answer, &[("outcome", "success")]).await.body;
    samples.push(("charge", client.charge_of(&authorised).await));
    let captured = client.post(&capture_path(&authorised), &[]).await.body;
    samples.push(("charge", client.charge_of(&authorised).await));
    let path = format!("/v1/payment_methods/{}", text(&captured["payment_method"]));
    samples.push(("payment_method", client.get(&path).await.body));
    samples.extend([
        ("confirmation_token", token),
        ("payment_intent", challenged),
        ("payment_intent", authorised),
        ("payment_intent", captured),
    ]);

    let declined = [("payment_method", "pm_card_visa_chargeDeclined"), ("confirm", "true")];
    let declined = client.intent(&declined).await.body["error"]["payment_intent"].clone();
    samples.push(("charge", client.charge_of(&declined).await));
    samples.push(("payment_intent", declined));

    for card in ["pm_card_visa", "pm_card_pendingRefund", "pm_card_refundFail"] {
        let paid = client.paid_with(card).await;
        let refund =
            client.post("/v1/refunds", &[("payment_intent", text(&paid["id"]))]).await.body;
        samples.push(("refund", refund.clone()));
        double.clock.advance(std::time::Duration::from_secs(60));
        let path = format!("/v1/refunds/{}", text(&refund["id"]));
        samples.push(("refund", client.get(&path).await.body));
        samples.push(("charge", client.charge_of(&paid).await));
    }
    let paid = client.paid_with("pm_card_visa").await;
    let path = format!("/_dashboard/payment_intents/{}/dispute", text(&paid["id"]));
    samples.push(("dispute", client.post(&path, &[]).await.body));
    let events = client.get("/v1/events?limit=100").await.body;
    samples.extend(events["data"].as_array().unwrap().iter().map(|event| ("event", event.clone())));
    samples
}

#[tokio::test]
async fn every_object_has_the_fields_of_stripe_s_examples() {
    let published = published();
    let double = Double::start().await;
    let mut wrong = BTreeSet::new();
    let mut excused = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (name, sample) in samples(&double).await {
        seen.insert(name);
        assert_eq!(sample["object"], name, "{sample}");
        let expected = &published[name];
        let expanded: BTreeSet<String> = expected
            .keys()
            .filter_map(|path| path.rsplit_once('.').map(|(parent, _)| parent.to_owned()))
            .collect();
        let mut actual = Types::new();
        paths(&sample, "", &expanded, &mut actual);
        for (path, wanted) in expected {
            let parent = path.rsplit_once('.').map(|(parent, _)| parent);
            if parent.is_some_and(|parent| actual.get(parent) != Some(&"object")) {
                continue;
            }
            match actual.get(path) {
                Some(given) if given == wanted || *given == "null" || *wanted == "null" => {}
                Some(given) => {
                    wrong.insert(format!("{name} {path} is {given}, not {wanted}"));
                }
                None => match ABSENT.iter().find(|it| **it == (name, path.as_str())) {
                    Some(absent) => {
                        excused.insert(absent);
                    }
                    None => {
                        wrong.insert(format!("{name} {path} is missing"));
                    }
                },
            }
        }
        for path in actual.keys().filter(|path| !expected.contains_key(*path)) {
            match ADDITIONAL.iter().find(|it| **it == (name, path.as_str())) {
                Some(additional) => {
                    excused.insert(additional);
                }
                None => {
                    wrong.insert(format!("{name} {path} isn't Stripe's"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let unused: Vec<_> =
        ABSENT.iter().chain(ADDITIONAL).filter(|it| !excused.contains(it)).collect();
    assert!(unused.is_empty(), "these exceptions aren't needed any more: {unused:?}");
    assert_eq!(seen, published.keys().copied().collect());
}
