//! What the checker finds.

use std::fmt;

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
    /// A code opens the door once, and only that of an order that was paid.
    AdmittedOnce,
    /// Each buyer and each seller has a mail about the sale.
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
            Invariant::AdmittedOnce => "admitted once",
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
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    pub(super) fn add(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.0.push(Violation { invariant, what: what.into() });
    }

    /// In the order of the invariants.
    pub(super) fn sorted(self) -> Vec<Violation> {
        let Violations(mut found) = self;
        found.sort();
        found
    }
}
