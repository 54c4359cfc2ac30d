//! The report of a run.

use std::fmt;

use super::at_stripe::Acts;
use super::fault_injector::InjectedFaults;
use super::faults::targets;
use super::gateway_client::{Outcomes, Tally};
use super::in_flight::FaultHit;
use super::running::Concurrency;
use crate::checker::{Snapshot, Totals, Violation};

/// How many violations are printed.
const MAX_PRINTED: usize = 50;

pub struct Report {
    pub seed: u64,
    pub injected: InjectedFaults,
    pub hits: Vec<FaultHit>,
    pub concurrency: Concurrency,
    pub tally: Tally,
    pub acts: Acts,
    pub snapshot: Snapshot,
    pub violations: Vec<Violation>,
}

impl Report {
    /// How many faults interrupted a write.
    pub fn faults_that_interrupted_a_write(&self) -> usize {
        self.hits.iter().filter(|hit| hit.interrupted_writes > 0).count()
    }

    fn faults_during_a_write(&self) -> usize {
        self.hits.iter().filter(|hit| hit.writes > 0).count()
    }

    /// A run whose faults interrupted no write proves nothing.
    pub fn is_conclusive(&self) -> bool {
        self.hits.is_empty() || self.faults_that_interrupted_a_write() > 0
    }

    pub fn passed(&self) -> bool {
        self.violations.is_empty() && self.is_conclusive()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, injected, hits, concurrency, tally, acts, .. } = self;
        let Report { snapshot, violations, .. } = self;
        writeln!(f, "seed      {seed}")?;
        let count = |name: &String| injected.kills.get(name).unwrap_or(&0);
        let kills: Vec<_> =
            targets().iter().map(|name| format!("{name} {}", count(name))).collect();
        writeln!(f, "kills     {}: {}", injected.kills.values().sum::<usize>(), kills.join(", "))?;
        let kinds: Vec<_> =
            injected.kinds.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
        writeln!(f, "faults    {}: {}", hits.len(), kinds.join(", ").to_lowercase())?;
        let interrupted: usize = hits.iter().map(|hit| hit.interrupted_writes).sum();
        writeln!(
            f,
            "          {} during a write; {} interrupted one ({interrupted} writes with an unknown outcome)",
            self.faults_during_a_write(),
            self.faults_that_interrupted_a_write(),
        )?;
        let Concurrency { median, share_of_16 } = concurrency;
        writeln!(
            f,
            "load      {median} requests in flight (median); 16 or more in {share_of_16} % of the samples"
        )?;
        requests(f, tally)?;
        writeln!(f, "at Stripe {acts}")?;
        let totals = Totals::of(snapshot);
        let orders = snapshot.orders.len();
        writeln!(
            f,
            "checked   {orders} orders, {} tickets, {} users, {} charges, {} events, {} writes{}, {} acknowledgements",
            snapshot.tickets.len(),
            snapshot.users.len(),
            totals.charges,
            snapshot.events.len(),
            snapshot.oplog.len(),
            if snapshot.oplog_is_complete {
                ""
            } else {
                " (older ones are no longer in the oplog)"
            },
            snapshot.acknowledged.count(),
        )?;
        let sum = if totals.kept() == totals.due { "=" } else { "≠" };
        writeln!(
            f,
            "cents     {} charged = {} kept + {} refunded + {} lost in disputes; kept {sum} {} due for complete orders",
            totals.charged,
            totals.kept(),
            totals.refunded,
            totals.charged_back,
            totals.due,
        )?;
        writeln!(f, "dead      {} letters", snapshot.dead_letters.len())?;
        for violation in violations.iter().take(MAX_PRINTED) {
            writeln!(f, "  {violation}")?;
        }
        if violations.len() > MAX_PRINTED {
            writeln!(f, "  … and {} more", violations.len() - MAX_PRINTED)?;
        }
        if !self.is_conclusive() {
            writeln!(f, "no fault interrupted a write: the run is inconclusive")?;
        }
        write!(f, "{} broken", violations.len())
    }
}

fn requests(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    writeln!(f, "          operation succeeded   refused   unknown")?;
    let row = |f: &mut fmt::Formatter<'_>, name: &str, outcomes: &Outcomes| {
        let Outcomes { succeeded, refused, unknown } = outcomes;
        let why: Vec<_> = unknown.iter().map(|(why, count)| format!("{why} {count}")).collect();
        let unknown: u64 = unknown.values().sum();
        let row =
            format!("{name:<9} {succeeded:>9} {refused:>9} {unknown:>9}   {}", why.join(", "));
        writeln!(f, "          {}", row.trim_end())
    };
    let mut all = Outcomes::default();
    for (operation, outcomes) in tally {
        row(f, operation.name(), outcomes)?;
        all.succeeded += outcomes.succeeded;
        all.refused += outcomes.refused;
        for (why, count) in &outcomes.unknown {
            *all.unknown.entry(*why).or_default() += count;
        }
    }
    row(f, "all", &all)
}
