//! Fault injection: refusals, delays, and connections that end at the worst moment.

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
    /// The maximum number of hits; unlimited, until it is cleared, if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// The share of matching commands that it hits.
    #[serde(default = "always")]
    pub probability: f64,
    /// Of the random number generator. The same seed makes the same choices.
    #[serde(default)]
    pub seed: u64,
    /// For `slow` (1 s by default), `hang` and `hang_accepted` (60 s).
    #[serde(default)]
    pub delay_ms: Option<u64>,
}

fn always() -> f64 {
    1.0
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// At which command; by default after the message.
    #[serde(default)]
    pub stage: Stage,
    /// Any recipient that contains this text; any at all, if absent. Known from RCPT on.
    #[serde(default)]
    pub recipient: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The greeting.
    Connect,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The end of the message, after DATA.
    #[default]
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 451; at the greeting, 421 and the connection closes.
    Temporary,
    /// 550; at the greeting, 554 and the connection closes.
    Permanent,
    /// 452: out of space.
    Full,
    /// The reply follows after `delay_ms`.
    Slow,
    /// No reply for `delay_ms`, then the connection closes. The message isn't kept.
    Hang,
    /// The same, but the message is kept: a client that sends it again duplicates it.
    HangAccepted,
    /// The connection closes without a reply. The message isn't kept.
    Close,
    /// The same, but the message is kept.
    CloseAccepted,
}

impl Fault {
    pub fn delay(&self) -> Duration {
        let default = match self.kind {
            Kind::Hang | Kind::HangAccepted => 60_000,
            Kind::Slow => 1_000,
            Kind::Temporary | Kind::Permanent | Kind::Full | Kind::Close | Kind::CloseAccepted => 0,
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
        let armed = ArmedFault { fault, hits: 0, rng_state };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(armed);
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn list(&self) -> Vec<ArmedFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first fault that hits this command.
    pub fn hit(&self, stage: Stage, recipients: &[String]) -> Option<Fault> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = armed
            .iter_mut()
            .filter(|armed| armed.is_left() && armed.fault.matches.matches(stage, recipients))
            .find_map(|armed| armed.roll().then_some(armed))?;
        hit.hits += 1;
        tracing::info!(kind = ?hit.fault.kind, ?stage, "fault injected");
        Some(hit.fault.clone())
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
    fn matches(&self, stage: Stage, recipients: &[String]) -> bool {
        let is_for = |wanted: &String| recipients.iter().any(|address| address.contains(wanted));
        self.stage == stage && self.recipient.as_ref().is_none_or(is_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_its_stage_and_its_recipient_so_many_times() {
        let faults = Faults::default();
        let fault =
            r#"{"kind": "full", "match": {"stage": "rcpt", "recipient": "kim@"}, "times": 2}"#;
        faults.add(serde_json::from_str(fault).unwrap());
        let hit = |stage, to: &str| faults.hit(stage, &[to.to_owned()]).is_some();
        assert!(!hit(Stage::Rcpt, "lee@example.org"));
        assert!(!hit(Stage::Message, "kim@example.org"));
        let hits = (0..4).map(|_| hit(Stage::Rcpt, "kim@example.org"));
        assert_eq!(hits.collect::<Vec<_>>(), [true, true, false, false]);
    }
}
