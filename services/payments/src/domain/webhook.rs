//! An event of Stripe's webhooks: whether Stripe has signed it, and what it is about. Pure.

use std::time::Duration;

use common::Time;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An older signature may be a recorded one.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Types that say nothing that an event of another type doesn't say too, or that happens at our own request alone. A payment
/// has as many of these as of the others; they are neither stored nor looked for. A type that isn't known is.
const REDUNDANT: [&str; 5] = [
    // Nothing has happened to it yet.
    "payment_intent.created",
    // Its PaymentIntent has payment_intent.amount_capturable_updated or payment_intent.succeeded.
    "charge.succeeded",
    // Its PaymentIntent has payment_intent.succeeded.
    "charge.captured",
    // Its PaymentIntent has payment_intent.payment_failed.
    "charge.failed",
    // Fees and descriptions: what we keep of a charge has events of its own.
    "charge.updated",
];

/// Whether an event of this type is stored and worked on.
pub fn is_useful(kind: &str) -> bool {
    !REDUNDANT.contains(&kind)
}

/// An event of Stripe's, as far as it matters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent {
    #[serde(rename = "_id")]
    pub id: String,
    /// Stripe's type; empty if the body is of a version that we can't read.
    pub kind: String,
    /// The PaymentIntent that it is about. None: there is nothing to do.
    pub intent: Option<String>,
    pub received_at: Time,
    /// When it is worked on next; none once that is done.
    pub next_run_at: Option<Time>,
    pub failures: i64,
}

/// How far Stripe's events are compared with the webhooks, and which replica does that now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSweep {
    #[serde(rename = "_id")]
    pub id: String,
    /// All events of before that time are stored. None: before the first sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Time>,
    /// Until then no other replica begins another one.
    pub leased_until: Time,
}

/// What of an event's body is read.
#[derive(Deserialize)]
struct Body {
    id: String,
    #[serde(rename = "type", default)]
    kind: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    id: String,
    #[serde(default)]
    object: String,
    payment_intent: Option<serde_json::Value>,
}

impl WebhookEvent {
    /// An event of which no webhook has come, or none that could be read.
    pub fn missed(id: String, kind: String, intent: String, now: Time) -> WebhookEvent {
        let (intent, next_run_at) = (Some(intent), Some(now));
        WebhookEvent { id, kind, intent, received_at: now, next_run_at, failures: 0 }
    }

    /// The event in a body whose signature is verified. One that can't be read is stored by its digest: to refuse it would
    /// make Stripe repeat it for days.
    pub fn read(body: &[u8], now: Time) -> WebhookEvent {
        let read: Option<Body> = serde_json::from_slice(body).ok();
        let intent = read.as_ref().and_then(|body| body.data.as_ref()).and_then(|data| {
            let Object { id, object, payment_intent } = &data.object;
            match (object.as_str(), payment_intent) {
                ("payment_intent", _) => Some(id.clone()),
                // Of a charge, a refund or a dispute. It may be expanded.
                (_, Some(intent)) => {
                    let id = intent.as_str().or_else(|| intent["id"].as_str());
                    id.map(str::to_owned)
                }
                (_, None) => None,
            }
        });
        let (id, kind) = match read {
            Some(Body { id, kind, .. }) => (id, kind),
            None => (format!("digest_{:x}", Sha256::digest(body)), String::new()),
        };
        let next_run_at = intent.as_ref().map(|_| now);
        WebhookEvent { id, kind, intent, received_at: now, next_run_at, failures: 0 }
    }
}

/// Whether one of these secrets has signed the body, not long ago: the header is `t=…,v1=…`, with several `v1` while a
/// secret is replaced. <https://docs.stripe.com/webhooks#verify-manually>
pub fn is_signed(header: &str, body: &[u8], secrets: &[String], now: Time) -> bool {
    let values = |name: &'static str| {
        let pairs = header.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
    };
    let Some(signed_at) = values("t").next().filter(|text| !text.is_empty()) else { return false };
    let Ok(seconds) = signed_at.parse::<i64>() else { return false };
    let age = now.millis().abs_diff(seconds.saturating_mul(1000));
    if u128::from(age) > TOLERANCE.as_millis() {
        return false;
    }
    values("v1").any(|signature| {
        secrets.iter().any(|secret| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
                return false;
            };
            mac.update(signed_at.as_bytes());
            mac.update(b".");
            mac.update(body);
            // Compares in constant time.
            from_hex(signature).is_some_and(|signature| mac.verify_slice(&signature).is_ok())
        })
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secret: &str, at: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.").as_bytes());
        mac.update(body);
        let hex: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={at},v1={hex},v0=00")
    }

    #[test]
    fn only_a_fresh_signature_by_one_of_the_secrets_is_accepted() {
        let secrets = ["whsec_new".to_owned(), "whsec_old".to_owned()];
        let (now, body) = (Time::from_millis(1_700_000_000_000), b"{}".as_slice());
        let is_signed = |header: &str, body: &[u8]| is_signed(header, body, &secrets, now);
        for secret in &secrets {
            for at in [1_700_000_000, 1_700_000_000 - 300, 1_700_000_000 + 300] {
                assert!(is_signed(&sign(secret, at, body), body), "{secret} {at}");
            }
            for at in [1_700_000_000 - 301, 1_700_000_000 + 301, 0] {
                assert!(!is_signed(&sign(secret, at, body), body), "{secret} {at}");
            }
            assert!(!is_signed(&sign(secret, 1_700_000_000, body), b"{ }"), "another body");
        }
        assert!(!is_signed(&sign("whsec_other", 1_700_000_000, body), body));
        for header in ["", "t=", "t=1700000000", "v1=00", "t=x,v1=00", "t=1700000000,v1=zz,v1=0"] {
            assert!(!is_signed(header, body), "{header}");
        }
        let two = format!("{},v1=00", sign("whsec_old", 1_700_000_000, body));
        assert!(is_signed(&two, body), "any of several");
    }

    #[test]
    fn an_event_names_its_payment_intent_or_nothing_to_do() {
        let now = Time::from_millis(0);
        let read = |body: &str| WebhookEvent::read(body.as_bytes(), now);
        let intent = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#;
        assert_eq!(read(intent).intent.as_deref(), Some("pi_1"));
        let refund = r#"{"id":"evt_2","type":"refund.failed","data":{"object":{"id":"re_1","object":"refund","payment_intent":"pi_1"}}}"#;
        assert_eq!(read(refund).intent.as_deref(), Some("pi_1"));
        for other in [
            r#"{"id":"evt_3","type":"payout.paid","data":{"object":{"id":"po_1","object":"payout"}}}"#,
            r#"{"id":"evt_4","type":"of.a.later.version"}"#,
        ] {
            let event = read(other);
            assert!(event.intent.is_none() && event.next_run_at.is_none(), "{event:?}");
        }
        let unreadable = read("[]");
        assert!(unreadable.id.starts_with("digest_") && unreadable.kind.is_empty());
        assert_eq!(unreadable.id, read("[]").id, "a repetition is the same event");
    }
}
