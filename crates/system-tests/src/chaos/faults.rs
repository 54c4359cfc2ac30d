//! The schedule of faults, drawn at random from a seed, so that a run can be repeated.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::random::mostly_short;
use super::refusal::Refusal;
use super::truncation::Truncation;
use crate::workspace;

/// The servers that are killed and suspended besides the services.
const SERVERS: [&str; 5] = ["mongod", "nats", "redis", "stripe", "mail"];
/// The time between one fault and the next.
const PAUSE_MS: std::ops::Range<u64> = 400..2600;
/// The weights of the faults that aren't kills.
const OTHERS: [(Kind, u32); 8] = [
    (Kind::Suspend, 8),
    (Kind::Stripe, 8),
    (Kind::Webhook, 8),
    (Kind::Refuse, 5),
    (Kind::Truncate, 3),
    (Kind::Flush, 2),
    (Kind::Wipe, 1),
    (Kind::Gateway, 1),
];

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL
    Kill,
    /// SIGSTOP, and SIGCONT 1 to 40 seconds later
    Suspend,
    /// A fault of Stripe's double
    Stripe,
    /// Stripe's webhooks are lost, duplicated, delayed, reordered, unreadable or forged
    Webhook,
    /// MongoDB refuses what a service asks, for 1 to 60 seconds
    Refuse,
    /// A stream of the broker loses messages, and nobody is informed
    Truncate,
    /// Redis: FLUSHALL
    Flush,
    /// The broker loses its store
    Wipe,
    /// SIGKILL to the gateway
    Gateway,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    Kill(String),
    Suspend(String, Duration),
    /// As the double's API defines it.
    Stripe(Value),
    /// The same.
    Webhook(Value),
    Refuse(Refusal),
    Truncate(Truncation),
    Flush,
    Wipe,
    Gateway,
}

impl Fault {
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Kill(_) => Kind::Kill,
            Fault::Suspend(..) => Kind::Suspend,
            Fault::Stripe(_) => Kind::Stripe,
            Fault::Webhook(_) => Kind::Webhook,
            Fault::Refuse(_) => Kind::Refuse,
            Fault::Truncate(_) => Kind::Truncate,
            Fault::Flush => Kind::Flush,
            Fault::Wipe => Kind::Wipe,
            Fault::Gateway => Kind::Gateway,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(name) => write!(f, "kill {name}"),
            Fault::Suspend(name, time) => {
                write!(f, "suspend {name} for {:.1} s", time.as_secs_f64())
            }
            Fault::Stripe(fault) | Fault::Webhook(fault) => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let hit = &fault["match"];
                let (kind, at) = (text(&fault["kind"]), text(&hit["path"]) + &text(&hit["event"]));
                write!(f, "stripe: {kind}, {} times, at {at}", fault["times"])?;
                match fault["delay_ms"].as_u64() {
                    Some(ms) => write!(f, ", {ms} ms"),
                    None => Ok(()),
                }
            }
            Fault::Refuse(refusal) => refusal.fmt(f),
            Fault::Truncate(truncation) => truncation.fmt(f),
            Fault::Flush => f.write_str("FLUSHALL"),
            Fault::Wipe => f.write_str("wipe the broker's store"),
            Fault::Gateway => f.write_str("kill nginx"),
        }
    }
}

/// The processes that are killed, each equally often.
pub fn targets() -> Vec<String> {
    let servers = SERVERS.into_iter().map(str::to_owned);
    workspace::services_with_database().into_iter().chain(servers).collect()
}

/// A schedule: each fault with the pause before it.
pub fn draw(seed: u64, kills: usize, without: &[Kind]) -> Vec<(Duration, Fault)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let targets = targets();
    let mut queue = Vec::new();
    while queue.len() < kills {
        let mut round = targets.clone();
        round.shuffle(&mut rng);
        queue.extend(round);
    }
    let others: Vec<(Kind, u32)> =
        OTHERS.into_iter().filter(|(kind, _)| !without.contains(kind)).collect();
    let mut faults = Vec::new();
    for name in queue.into_iter().take(kills) {
        let between = rng.random_range(0..=2);
        for _ in 0..between {
            faults.extend(other(&others, &targets, &mut rng));
        }
        faults.push(Fault::Kill(name));
    }
    let mut pause = || Duration::from_millis(rng.random_range(PAUSE_MS));
    faults.into_iter().map(|fault| (pause(), fault)).collect()
}

fn other(kinds: &[(Kind, u32)], targets: &[String], rng: &mut StdRng) -> Option<Fault> {
    let (kind, _) = kinds.choose_weighted(rng, |(_, weight)| *weight).ok()?;
    match kind {
        // Kills are distributed evenly instead.
        Kind::Kill => None,
        Kind::Suspend => {
            let name = targets.choose(rng)?.clone();
            Some(Fault::Suspend(name, mostly_short(39.0, rng)))
        }
        Kind::Stripe => Some(Fault::Stripe(stripe_fault(rng))),
        Kind::Webhook => Some(Fault::Webhook(webhook_fault(rng))),
        Kind::Refuse => Some(Fault::Refuse(Refusal::draw(rng)?)),
        Kind::Truncate => Some(Fault::Truncate(Truncation::draw(rng)?)),
        Kind::Flush => Some(Fault::Flush),
        Kind::Wipe => Some(Fault::Wipe),
        Kind::Gateway => Some(Fault::Gateway),
    }
}

fn stripe_fault(rng: &mut StdRng) -> Value {
    const REFUND: (&str, &str, u32) = ("POST", "/v1/refunds", 3);
    const KINDS: [&str; 10] = [
        "error_before",
        "error_after",
        "hang",
        "cut",
        "cut_after",
        "torn",
        "garbled",
        "slow",
        "rate_limit",
        "late",
    ];
    // Money moves at the third one.
    const CALLS: [(&str, &str, u32); 9] = [
        ("POST", "/v1/payment_intents", 2),
        ("POST", "/v1/payment_intents/*/confirm", 6),
        ("POST", "/v1/payment_intents/*/capture", 4),
        ("POST", "/v1/payment_intents/*/cancel", 1),
        ("POST", "/v1/payment_methods", 1),
        REFUND,
        ("GET", "/v1/payment_intents/*", 2),
        ("GET", "/v1/refunds", 1),
        ("GET", "/v1/events", 1),
    ];
    let mut kind = KINDS.choose(rng).copied().unwrap_or("cut");
    let call = CALLS.choose_weighted(rng, |(_, _, weight)| *weight).copied().unwrap_or(REFUND);
    if call == REFUND && rng.random_bool(0.25) {
        kind = "refund_fails";
    }
    let (method, path, _) = call;
    let mut fault = json!({
        "match": { "method": method, "path": path },
        "kind": kind,
        "times": rng.random_range(1..=8),
    });
    if ["hang", "slow", "late"].contains(&kind) {
        fault["delay_ms"] = json!(rng.random_range(500..12_000));
    }
    fault
}

fn webhook_fault(rng: &mut StdRng) -> Value {
    const KINDS: [(&str, u32); 9] = [
        ("webhook_lost", 6),
        ("webhook_duplicated", 2),
        ("webhook_reordered", 2),
        ("webhook_delayed", 2),
        ("webhook_before_response", 2),
        ("webhook_unknown_type", 1),
        ("webhook_unknown_version", 3),
        ("webhook_forged", 1),
        ("webhook_stale", 1),
    ];
    const EVENTS: [(&str, u32); 4] =
        [("*", 4), ("payment_intent.*", 2), ("charge.*", 2), ("refund.*", 1)];
    let (kind, _) = KINDS.choose_weighted(rng, |(_, weight)| *weight).copied().unwrap_or(KINDS[0]);
    let (event, _) =
        EVENTS.choose_weighted(rng, |(_, weight)| *weight).copied().unwrap_or(EVENTS[0]);
    let mut fault = json!({
        "match": { "event": event },
        "kind": kind,
        // One sale has about ten of them.
        "times": rng.random_range(5..=60),
    });
    if ["webhook_reordered", "webhook_delayed"].contains(&kind) {
        fault["delay_ms"] = json!(rng.random_range(500..20_000));
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills_of(faults: &[(Duration, Fault)], name: &str) -> usize {
        faults.iter().filter(|(_, fault)| matches!(fault, Fault::Kill(its) if its == name)).count()
    }

    #[test]
    fn kills_are_distributed_evenly() {
        let faults = draw(7, 60, &[]);
        let kills: Vec<_> = targets().iter().map(|name| kills_of(&faults, name)).collect();
        assert_eq!(kills.iter().sum::<usize>(), 60);
        assert!(kills.iter().all(|count| *count >= 60 / kills.len()), "{kills:?}");
        for kind in
            [Kind::Suspend, Kind::Stripe, Kind::Webhook, Kind::Refuse, Kind::Truncate, Kind::Flush]
        {
            assert!(faults.iter().any(|(_, fault)| fault.kind() == kind), "{kind:?}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_schedule_and_an_excluded_kind_is_never_drawn() {
        assert_eq!(draw(1, 20, &[]), draw(1, 20, &[]));
        assert_ne!(draw(1, 20, &[]), draw(2, 20, &[]));
        let faults = draw(1, 200, &[Kind::Wipe, Kind::Suspend]);
        assert!(!faults.iter().any(|(_, it)| [Kind::Wipe, Kind::Suspend].contains(&it.kind())));
    }
}
