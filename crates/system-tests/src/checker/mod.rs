//! The checker: whether the invariants hold, for every order, every ticket and every cent.
//!
//! It trusts no service: once the stack is idle, it reads every database, every stream and Stripe's ledger, and compares.
//! It shares only the catalogue of events with the services, and no decision depends on a clock: the order of writes comes
//! from MongoDB's oplog, the order of holds from their numbers.

mod acknowledged;
mod buyers;
mod catalogue;
mod events;
mod holds;
mod index;
mod mails;
mod money;
mod replicas;
mod servers;
mod snapshot;

use std::fmt;

pub use acknowledged::{
    Acknowledged, AcknowledgedOrder, AcknowledgedPayment, AcknowledgedTicket, Replay,
};
pub use money::Totals;
pub use servers::{PendingWork, Servers};
pub use snapshot::*;

use index::Index;

/// The invariants, numbered as in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    OneBuyer,
    NoLostMoney,
    NoDoubleCharge,
    NoLostEvent,
    NoStuckTicket,
    NewerWins,
    NothingDropped,
    /// Whoever bought or sold has a mail that says so.
    NoLostMail,
    /// What was acknowledged to a client is durable.
    Acknowledged,
    /// The stack becomes idle without intervention.
    Quiescence,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invariant::OneBuyer => "I1 one buyer",
            Invariant::NoLostMoney => "I2 no lost money",
            Invariant::NoDoubleCharge => "I3 no double charge",
            Invariant::NoLostEvent => "I4 no lost event",
            Invariant::NoStuckTicket => "I5 no stuck ticket",
            Invariant::NewerWins => "I6 newer wins",
            Invariant::NothingDropped => "I8 nothing dropped",
            Invariant::NoLostMail => "no lost mail",
            Invariant::Acknowledged => "acknowledged",
            Invariant::Quiescence => "quiescence",
        })
    }
}

/// A violated invariant, with a description.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub invariant: Invariant,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// The violations found so far.
#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.0.push(Violation { invariant, what: what.into() });
    }
}

/// All violations in a snapshot of an idle stack.
pub fn check(snapshot: &Snapshot) -> Vec<Violation> {
    let index = Index::of(snapshot);
    let mut violations = Violations::default();
    buyers::check(&index, &mut violations);
    money::check(&index, &mut violations);
    events::check(&index, &mut violations);
    holds::check(&index, &mut violations);
    replicas::check(&index, &mut violations);
    mails::check(&index, &mut violations);
    acknowledged::check(&index, &mut violations);
    let Violations(mut found) = violations;
    found.sort();
    found
}
