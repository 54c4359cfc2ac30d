//! The request that a delivery makes.

use serde_json::{Value, json};

use super::signature;
use crate::model::{Delivery, Form};

/// Older than the five minutes that receivers tolerate.
const STALE_BY_SECONDS: u64 = 10 * 60;

#[derive(Debug)]
pub struct Payload {
    pub body: String,
    pub signature: String,
}

/// `event` is rendered as the endpoint is to receive it.
pub fn payload(delivery: &Delivery, mut event: Value, secret: &str, now_seconds: u64) -> Payload {
    let other_id = || json!(delivery.id.replacen("whd_", "evt_", 1));
    let mut secret = secret.to_owned();
    let mut at_seconds = now_seconds;
    match delivery.form {
        Form::AsIs => {}
        Form::UnknownType => {
            event["id"] = other_id();
            event["type"] = json!("payment_intent.of_an_unknown_type");
        }
        Form::UnknownVersion => {
            let object = event["data"]["object"].take();
            let state = json!({ "amounts": [{ "minor_units": "2000" }], "state": 7 });
            event["api_version"] = json!("2099-01-01.unknown");
            event["data"]["object"] =
                json!({ "id": object["id"], "object": object["object"], "state": state });
        }
        Form::Forged => {
            event["id"] = other_id();
            event["data"]["object"]["amount"] = json!(1);
            event["data"]["object"]["status"] = json!("succeeded");
            "whsec_of_a_forger".clone_into(&mut secret);
        }
        Form::Stale => at_seconds = at_seconds.saturating_sub(STALE_BY_SECONDS),
    }
    let body = event.to_string();
    let signature = signature::header(&secret, at_seconds, &body);
    Payload { body, signature }
}
