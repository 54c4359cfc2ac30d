//! Things that go wrong on demand, between the client and Stripe and inside Stripe.

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
    pub kind: Kind,
    /// How often it hits; without it, until it is cleared.
    #[serde(default)]
    pub times: Option<u64>,
    /// Of the requests that match, how many it hits.
    #[serde(default = "always")]
    pub probability: f64,
    /// Of the dice. The same seed throws the same.
    #[serde(default)]
    pub seed: u64,
    /// For `slow`, `late` (1 s by default) and `hang` (60 s).
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 500, saved under the key; nothing is done.
    ErrorBefore,
    /// All is done; the answer is a 500, saved under the key.
    ErrorAfter,
    /// No answer for `delay_ms`, then the connection closes; nothing is done, and the key is in use until then.
    Hang,
    /// The connection closes without an answer; nothing is done.
    Cut,
    /// All is done; the connection closes without an answer.
    CutAfter,
    /// All is done; the connection closes in the middle of the answer.
    Torn,
    /// All is done; the answer comes, and can't be read.
    Garbled,
    /// All is done at once; the answer comes `delay_ms` later.
    Slow,
    /// All is done `delay_ms` later, whether or not the client still waits, and then answered.
    Late,
    /// 429; nothing is done or saved.
    RateLimit,
    /// A refund is made, and has failed.
    RefundFails,
}

impl Kind {
    /// A saved answer is replayed without the endpoint being executed: what happens only inside it can't happen.
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

impl Fault {
    pub fn delay(&self) -> Duration {
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
pub struct Armed {
    #[serde(flatten)]
    pub fault: Fault,
    pub hits: u64,
    #[serde(skip)]
    dice: u64,
}

#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Armed>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        let dice = fault.seed;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Armed { fault, hits: 0, dice });
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn list(&self) -> Vec<Armed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first fault that hits this request.
    pub fn hit(&self, method: &str, path: &str, executes: bool) -> Option<Fault> {
        if !path.starts_with("/v1/") {
            return None;
        }
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = armed
            .iter_mut()
            .filter(|armed| armed.fits(method, path, executes))
            .find_map(|armed| armed.throw().then_some(armed))?;
        hit.hits += 1;
        tracing::info!(kind = ?hit.fault.kind, method, path, "a fault hits");
        Some(hit.fault.clone())
    }
}

impl Armed {
    fn fits(&self, method: &str, path: &str, executes: bool) -> bool {
        let Fault { matches, kind, times, .. } = &self.fault;
        let is_left = times.is_none_or(|times| self.hits < times);
        is_left && (executes || !kind.needs_execution()) && matches.fits(method, path)
    }

    fn throw(&mut self) -> bool {
        // SplitMix64: enough for dice, and the same on every machine.
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let fraction = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < self.fault.probability
    }
}

impl Match {
    fn fits(&self, method: &str, path: &str) -> bool {
        let path_fits = |pattern: &String| {
            let (wanted, given) = (pattern.split('/'), path.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted.zip(given).all(|(wanted, given)| wanted == "*" || wanted == given)
        };
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(path_fits)
    }
}

#[cfg(test)]
mod tests {
    use super::{Faults, Match};

    #[test]
    fn a_star_is_one_segment() {
        let pattern = |path: &str| Match { method: None, path: Some(path.to_owned()) };
        assert!(
            pattern("/v1/payment_intents/*/confirm")
                .fits("POST", "/v1/payment_intents/pi_1/confirm")
        );
        assert!(!pattern("/v1/payment_intents/*").fits("POST", "/v1/payment_intents/pi_1/confirm"));
        assert!(Match::default().fits("GET", "/v1/charges"));
    }

    #[test]
    fn the_same_seed_throws_the_same_and_about_as_often_as_it_should() {
        let throws = || {
            let faults = Faults::default();
            faults.add(
                serde_json::from_str(r#"{"kind": "cut", "probability": 0.25, "seed": 7}"#).unwrap(),
            );
            (0..1000).map(|_| faults.hit("POST", "/v1/refunds", true).is_some()).collect::<Vec<_>>()
        };
        let hits = throws();
        assert_eq!(hits, throws());
        assert!((200..300).contains(&hits.iter().filter(|hit| **hit).count()));
    }
}
