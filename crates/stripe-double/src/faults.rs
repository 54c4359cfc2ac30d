//! Fault injection: failures on demand, of the connection and inside Stripe.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(rename = "match", default)]
    pub matches: Match,
    pub kind: AnyKind,
    /// The maximum number of hits; unlimited, until it is cleared, if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// The share of matching requests that it hits.
    #[serde(default = "always")]
    pub probability: f64,
    /// Of the random number generator. The same seed makes the same choices.
    #[serde(default)]
    pub seed: u64,
    /// For `slow`, `late`, `webhook_delayed` (1 s by default), `webhook_reordered` (5 s) and `hang` (60 s).
    #[serde(default)]
    pub delay_ms: Option<u64>,
}

fn always() -> f64 {
    1.0
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `POST`; any, if absent.
    #[serde(default)]
    pub method: Option<String>,
    /// `/v1/payment_intents/*/confirm`, where `*` is one segment; any, if absent.
    #[serde(default)]
    pub path: Option<String>,
    /// For webhooks: `payment_intent.*`, where `*` is any end; any event, if absent.
    #[serde(default)]
    pub event: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyKind {
    Request(Kind),
    Webhook(WebhookKind),
}

/// Of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing is executed; the response is a 500, saved under the key.
    ErrorBefore,
    /// Everything is executed; the response is a 500, saved under the key.
    ErrorAfter,
    /// Nothing is executed; the connection closes after `delay_ms`, and the key is in use until then.
    Hang,
    /// Nothing is executed; the connection closes without a response.
    Cut,
    /// Everything is executed; the connection closes without a response.
    CutAfter,
    /// Everything is executed; the connection closes in the middle of the response.
    Torn,
    /// Everything is executed; the response is malformed.
    Garbled,
    /// Everything is executed immediately; the response follows after `delay_ms`.
    Slow,
    /// Everything is executed after `delay_ms`, whether or not the client still waits; then the response follows.
    Late,
    /// Nothing is executed or saved; the response is a 429.
    RateLimit,
    /// A refund is created with status `failed`.
    RefundFails,
}

/// Of the delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookKind {
    /// It is delivered twice.
    #[serde(rename = "webhook_duplicated")]
    Duplicated,
    /// It is delivered after the event that follows it, or after `delay_ms` if none follows.
    #[serde(rename = "webhook_reordered")]
    Reordered,
    /// It is delivered after `delay_ms`.
    #[serde(rename = "webhook_delayed")]
    Delayed,
    /// It is delivered before the response to the request that caused it.
    #[serde(rename = "webhook_before_response")]
    BeforeResponse,
    /// It is never delivered.
    #[serde(rename = "webhook_lost")]
    Lost,
    /// Another event, of an unknown type, is delivered as well.
    #[serde(rename = "webhook_unknown_type")]
    UnknownType,
    /// It is delivered as a later API version would render it, with nothing readable but the ids.
    #[serde(rename = "webhook_unknown_version")]
    UnknownVersion,
    /// Another event, with a wrong signature, is delivered as well.
    #[serde(rename = "webhook_forged")]
    Forged,
    /// It is delivered with a signature that is too old as well: somebody replays it.
    #[serde(rename = "webhook_stale")]
    Stale,
}

/// A fault that applies.
#[derive(Debug, Clone, Copy)]
pub struct Hit<K> {
    pub kind: K,
    delay_ms: Option<u64>,
}

impl Hit<WebhookKind> {
    pub fn delay_ms(self) -> u64 {
        let default = match self.kind {
            WebhookKind::Delayed => 1_000,
            WebhookKind::Reordered => 5_000,
            WebhookKind::Duplicated
            | WebhookKind::BeforeResponse
            | WebhookKind::Lost
            | WebhookKind::UnknownType
            | WebhookKind::UnknownVersion
            | WebhookKind::Forged
            | WebhookKind::Stale => 0,
        };
        self.delay_ms.unwrap_or(default)
    }
}

impl Kind {
    /// A saved response is replayed without executing the endpoint, so faults of the execution don't apply to it.
    fn needs_execution(self) -> bool {
        match self {
            Self::ErrorBefore | Self::ErrorAfter | Self::RefundFails => true,
            Self::Hang
            | Self::Cut
            | Self::CutAfter
            | Self::Torn
            | Self::Garbled
            | Self::Slow
            | Self::Late
            | Self::RateLimit => false,
        }
    }
}

impl Hit<Kind> {
    pub fn delay(self) -> Duration {
        let default = match self.kind {
            Kind::Hang => 60_000,
            Kind::Slow | Kind::Late => 1_000,
            Kind::ErrorBefore
            | Kind::ErrorAfter
            | Kind::Cut
            | Kind::CutAfter
            | Kind::Torn
            | Kind::Garbled
            | Kind::RateLimit
            | Kind::RefundFails => 0,
        };
        Duration::from_millis(self.delay_ms.unwrap_or(default))
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct ArmedFault {
    #[serde(flatten)]
    pub fault: Fault,
    pub hits: u64,
    #[serde(skip)]
    rng_state: u64,
}

#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<ArmedFault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        let rng_state = fault.seed;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ArmedFault {
            fault,
            hits: 0,
            rng_state,
        });
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn list(&self) -> Vec<ArmedFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first fault that hits this request.
    pub fn hit(&self, method: &str, path: &str, executes: bool) -> Option<Hit<Kind>> {
        if !path.starts_with("/v1/") {
            return None;
        }
        let hit = self.find(|fault| match fault.kind {
            AnyKind::Request(kind) => {
                let fits = (executes || !kind.needs_execution())
                    && fault.matches.matches_request(method, path);
                fits.then_some(kind)
            }
            AnyKind::Webhook(_) => None,
        })?;
        tracing::info!(kind = ?hit.kind, method, path, "fault injected");
        Some(hit)
    }

    /// The first fault that hits the delivery of this event to an endpoint.
    pub fn hit_webhook(&self, event: &str) -> Option<Hit<WebhookKind>> {
        let hit = self.find(|fault| match fault.kind {
            AnyKind::Webhook(kind) => fault.matches.matches_event(event).then_some(kind),
            AnyKind::Request(_) => None,
        })?;
        tracing::info!(kind = ?hit.kind, event, "fault injected");
        Some(hit)
    }

    fn find<K>(&self, fits: impl Fn(&Fault) -> Option<K>) -> Option<Hit<K>> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for armed in armed.iter_mut().filter(|armed| armed.is_left()) {
            if let Some(kind) = fits(&armed.fault)
                && armed.roll()
            {
                armed.hits += 1;
                return Some(Hit { kind, delay_ms: armed.fault.delay_ms });
            }
        }
        None
    }
}

impl ArmedFault {
    fn is_left(&self) -> bool {
        self.fault.times.is_none_or(|times| self.hits < times)
    }

    fn roll(&mut self) -> bool {
        // SplitMix64: good enough here, and the same on every machine.
        self.rng_state = self.rng_state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.rng_state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let fraction = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < self.fault.probability
    }
}

impl Match {
    fn matches_event(&self, event: &str) -> bool {
        self.event.as_ref().is_none_or(|pattern| match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => event == pattern,
        })
    }

    fn matches_request(&self, method: &str, path: &str) -> bool {
        let path_matches = |pattern: &String| {
            let (wanted, given) = (pattern.split('/'), path.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted.zip(given).all(|(wanted, given)| wanted == "*" || wanted == given)
        };
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(path_matches)
    }
}

#[cfg(test)]
mod tests {
    use super::{Faults, Match};

    #[test]
    fn a_star_matches_one_segment() {
        let pattern = |path: &str| Match { path: Some(path.to_owned()), ..Match::default() };
        assert!(
            pattern("/v1/payment_intents/*/confirm")
                .matches_request("POST", "/v1/payment_intents/pi_1/confirm")
        );
        assert!(
            !pattern("/v1/payment_intents/*")
                .matches_request("POST", "/v1/payment_intents/pi_1/confirm")
        );
        assert!(Match::default().matches_request("GET", "/v1/charges"));
    }

    #[test]
    fn a_fault_of_webhooks_hits_events_and_no_requests() {
        let faults = Faults::default();
        let fault = r#"{"match": {"event": "charge.*"}, "kind": "webhook_lost"}"#;
        faults.add(serde_json::from_str(fault).unwrap());
        assert!(faults.hit("POST", "/v1/refunds", true).is_none());
        assert!(faults.hit_webhook("payment_intent.succeeded").is_none());
        assert!(faults.hit_webhook("charge.dispute.created").is_some());
    }

    #[test]
    fn the_same_seed_makes_the_same_choices_at_about_the_given_rate() {
        let hits_of_a_run = || {
            let faults = Faults::default();
            faults.add(
                serde_json::from_str(r#"{"kind": "cut", "probability": 0.25, "seed": 7}"#).unwrap(),
            );
            (0..1000).map(|_| faults.hit("POST", "/v1/refunds", true).is_some()).collect::<Vec<_>>()
        };
        let hits = hits_of_a_run();
        assert_eq!(hits, hits_of_a_run());
        assert!((200..300).contains(&hits.iter().filter(|hit| **hit).count()));
    }
}
