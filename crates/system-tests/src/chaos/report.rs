//! What came of a run, for people.

use std::fmt;

use super::door::{Outcomes, Tally};
use super::faults::VICTIMS;
use super::flights::Strike;
use super::load::Crowd;
use super::storm::Struck;
use crate::checker::{Breach, Totals, World};

/// How many breaches are told one by one.
const TOLD: usize = 50;

pub struct Report {
    pub seed: u64,
    pub struck: Struck,
    pub strikes: Vec<Strike>,
    pub crowd: Crowd,
    pub tally: Tally,
    pub world: World,
    pub breaches: Vec<Breach>,
}

impl Report {
    /// How many faults hit a write that then got no clean answer.
    pub fn faults_that_cut_a_write(&self) -> usize {
        self.strikes.iter().filter(|strike| strike.cut_writes > 0).count()
    }

    fn faults_that_met_a_write(&self) -> usize {
        self.strikes.iter().filter(|strike| strike.open_writes > 0).count()
    }

    /// Faults that hit nothing prove nothing.
    pub fn proves_something(&self) -> bool {
        self.strikes.is_empty() || self.faults_that_cut_a_write() > 0
    }

    pub fn is_good(&self) -> bool {
        self.breaches.is_empty() && self.proves_something()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, struck, strikes, crowd, tally, world, breaches } = self;
        writeln!(f, "seed      {seed}")?;
        let kills = VICTIMS.map(|name| format!("{name} {}", struck.kills.get(name).unwrap_or(&0)));
        writeln!(f, "kills     {}: {}", struck.kills.values().sum::<usize>(), kills.join(", "))?;
        let kinds: Vec<_> =
            struck.kinds.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
        writeln!(f, "faults    {}: {}", strikes.len(), kinds.join(", ").to_lowercase())?;
        let cut: usize = strikes.iter().map(|strike| strike.cut_writes).sum();
        writeln!(
            f,
            "          {} met an open write; {} cut one off ({cut} writes without a clean answer)",
            self.faults_that_met_a_write(),
            self.faults_that_cut_a_write(),
        )?;
        let Crowd { median, share_of_16 } = crowd;
        writeln!(
            f,
            "load      {median} requests under way (median); 16 or more in {share_of_16} % of all looks"
        )?;
        requests(f, tally)?;
        let totals = Totals::of(world);
        let orders = world.orders.len();
        writeln!(
            f,
            "checked   {orders} orders, {} tickets, {} users, {} charges, {} events, {} writes{}, {} answers",
            world.tickets.len(),
            world.users.len(),
            totals.charges,
            world.events.len(),
            world.writes.len(),
            if world.history_is_whole {
                ""
            } else {
                " (the older ones are gone from MongoDB's log)"
            },
            world.claims.count(),
        )?;
        let sum = if totals.kept() == totals.due { "=" } else { "≠" };
        writeln!(
            f,
            "cents     {} charged = {} kept + {} given back; kept {sum} {} due for complete orders",
            totals.charged,
            totals.kept(),
            totals.refunded,
            totals.due,
        )?;
        writeln!(f, "dead      {} letters", world.dead_letters.len())?;
        for breach in breaches.iter().take(TOLD) {
            writeln!(f, "  {breach}")?;
        }
        if breaches.len() > TOLD {
            writeln!(f, "  … and {} more", breaches.len() - TOLD)?;
        }
        if !self.proves_something() {
            writeln!(f, "no fault hit a write: this proves nothing")?;
        }
        write!(f, "{} broken", breaches.len())
    }
}

fn requests(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    writeln!(f, "          request      done   refused   unknown")?;
    let row = |f: &mut fmt::Formatter<'_>, name: &str, outcomes: &Outcomes| {
        let Outcomes { done, refused, unknown } = outcomes;
        let why: Vec<_> = unknown.iter().map(|(why, count)| format!("{why} {count}")).collect();
        let unknown: u64 = unknown.values().sum();
        let row = format!("{name:<9} {done:>7} {refused:>9} {unknown:>9}   {}", why.join(", "));
        writeln!(f, "          {}", row.trim_end())
    };
    let mut all = Outcomes::default();
    for (kind, outcomes) in tally {
        row(f, kind.name(), outcomes)?;
        all.done += outcomes.done;
        all.refused += outcomes.refused;
        for (why, count) in &outcomes.unknown {
            *all.unknown.entry(*why).or_default() += count;
        }
    }
    row(f, "all", &all)
}
