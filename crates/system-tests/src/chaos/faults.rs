//! What may go wrong, and when: drawn from a list by dice with a seed, so that a run can be had again.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// The processes that are killed, each equally often.
pub const VICTIMS: [&str; 9] =
    ["auth", "tickets", "orders", "expiration", "payments", "mongod", "nats", "redis", "stripe"];
/// Time between one fault and the next.
const PAUSE_MS: std::ops::Range<u64> = 400..2600;
/// Of all faults that aren't kills, how often each comes.
const OTHERS: [(Kind, u32); 5] =
    [(Kind::Stop, 8), (Kind::Stripe, 8), (Kind::Flush, 2), (Kind::Wipe, 1), (Kind::Gateway, 1)];

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL
    Kill,
    /// SIGSTOP, and SIGCONT 1 to 40 seconds later
    Stop,
    /// Stripe's double misbehaves
    Stripe,
    /// Redis: FLUSHALL
    Flush,
    /// The broker loses its store
    Wipe,
    /// SIGKILL to the gateway
    Gateway,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    Kill(&'static str),
    Stop(&'static str, Duration),
    /// As its double takes it.
    Stripe(Value),
    Flush,
    Wipe,
    Gateway,
}

impl Fault {
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Kill(_) => Kind::Kill,
            Fault::Stop(..) => Kind::Stop,
            Fault::Stripe(_) => Kind::Stripe,
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
            Fault::Stop(name, time) => write!(f, "stop {name} for {:.1} s", time.as_secs_f64()),
            Fault::Stripe(fault) => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (kind, path) = (text(&fault["kind"]), text(&fault["match"]["path"]));
                write!(f, "stripe: {kind}, {} times, at {path}", fault["times"])?;
                match fault["delay_ms"].as_u64() {
                    Some(ms) => write!(f, ", {ms} ms"),
                    None => Ok(()),
                }
            }
            Fault::Flush => f.write_str("FLUSHALL"),
            Fault::Wipe => f.write_str("wipe the broker's store"),
            Fault::Gateway => f.write_str("kill nginx"),
        }
    }
}

/// What is to go wrong, each a while after the one before.
pub fn draw(seed: u64, kills: usize, without: &[Kind]) -> Vec<(Duration, Fault)> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut deck = Vec::new();
    while deck.len() < kills {
        let mut round = VICTIMS;
        round.shuffle(&mut dice);
        deck.extend(round);
    }
    let others: Vec<(Kind, u32)> =
        OTHERS.into_iter().filter(|(kind, _)| !without.contains(kind)).collect();
    let mut faults = Vec::new();
    for name in deck.into_iter().take(kills) {
        let between = dice.random_range(0..=2);
        for _ in 0..between {
            faults.extend(other(&others, &mut dice));
        }
        faults.push(Fault::Kill(name));
    }
    let mut pause = || Duration::from_millis(dice.random_range(PAUSE_MS));
    faults.into_iter().map(|fault| (pause(), fault)).collect()
}

fn other(kinds: &[(Kind, u32)], dice: &mut StdRng) -> Option<Fault> {
    let (kind, _) = kinds.choose_weighted(dice, |(_, weight)| *weight).ok()?;
    match kind {
        // These are dealt out.
        Kind::Kill => None,
        Kind::Stop => {
            let name = VICTIMS.choose(dice)?;
            // Mostly short, at times very long.
            let seconds = 1.0 + 39.0 * dice.random::<f64>().powi(3);
            Some(Fault::Stop(name, Duration::from_secs_f64(seconds)))
        }
        Kind::Stripe => Some(Fault::Stripe(misbehaviour(dice))),
        Kind::Flush => Some(Fault::Flush),
        Kind::Wipe => Some(Fault::Wipe),
        Kind::Gateway => Some(Fault::Gateway),
    }
}

fn misbehaviour(dice: &mut StdRng) -> Value {
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
    // The second is where the money moves.
    const CALLS: [(&str, &str, u32); 6] = [
        ("POST", "/v1/payment_intents", 2),
        ("POST", "/v1/payment_intents/*/confirm", 6),
        ("POST", "/v1/payment_intents/*/cancel", 1),
        ("POST", "/v1/payment_methods", 1),
        REFUND,
        ("GET", "/v1/payment_intents/*", 2),
    ];
    let mut kind = KINDS.choose(dice).copied().unwrap_or("cut");
    let call = CALLS.choose_weighted(dice, |(_, _, weight)| *weight).copied().unwrap_or(REFUND);
    if call == REFUND && dice.random_bool(0.25) {
        kind = "refund_fails";
    }
    let (method, path, _) = call;
    let mut fault = json!({
        "match": { "method": method, "path": path },
        "kind": kind,
        "times": dice.random_range(1..=8),
    });
    if ["hang", "slow", "late"].contains(&kind) {
        fault["delay_ms"] = json!(dice.random_range(500..12_000));
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills_of(faults: &[(Duration, Fault)], name: &str) -> usize {
        faults.iter().filter(|(_, fault)| matches!(fault, Fault::Kill(its) if *its == name)).count()
    }

    #[test]
    fn kills_are_dealt_out_equally() {
        let faults = draw(7, 60, &[]);
        let kills = VICTIMS.map(|name| kills_of(&faults, name));
        assert_eq!(kills.iter().sum::<usize>(), 60);
        assert!(kills.iter().all(|kills| *kills >= 5), "{kills:?}");
        for kind in [Kind::Stop, Kind::Stripe, Kind::Flush] {
            assert!(faults.iter().any(|(_, fault)| fault.kind() == kind), "{kind:?}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_what_is_left_out_never_comes() {
        assert_eq!(draw(1, 20, &[]), draw(1, 20, &[]));
        assert_ne!(draw(1, 20, &[]), draw(2, 20, &[]));
        let faults = draw(1, 200, &[Kind::Wipe, Kind::Stop]);
        assert!(!faults.iter().any(|(_, it)| [Kind::Wipe, Kind::Stop].contains(&it.kind())));
    }
}
