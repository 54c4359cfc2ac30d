//! The checker: whether the promises hold, for every order, every ticket and every cent.
//!
//! It believes nobody: it reads what lies in every database, in every stream and in Stripe's ledger when all
//! has come to rest, and compares. It shares no code with the services, and it decides nothing by a
//! clock: the order of writes comes from MongoDB's own log, the order of holds from their numbers.

mod buyers;
mod claims;
mod events;
mod facts;
mod holds;
mod money;
mod replicas;
mod servers;
mod world;

use std::fmt;

pub use claims::{Claims, Heard, Listing, Paid, Placed};
pub use money::Totals;
pub use servers::{Servers, Unrest};
pub use world::*;

use facts::Facts;

/// What was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    OneBuyer,
    NoLostMoney,
    NoDoubleCharge,
    NoLostEvent,
    NoStuckTicket,
    NewerWins,
    NothingDropped,
    /// What a client was told with success is so.
    TheAnswer,
    /// Everything comes to rest by itself.
    Rest,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::OneBuyer => "I1 one buyer",
            Promise::NoLostMoney => "I2 no lost money",
            Promise::NoDoubleCharge => "I3 no double charge",
            Promise::NoLostEvent => "I4 no lost event",
            Promise::NoStuckTicket => "I5 no stuck ticket",
            Promise::NewerWins => "I6 newer wins",
            Promise::NothingDropped => "I8 nothing dropped",
            Promise::TheAnswer => "the answer",
            Promise::Rest => "rest",
        })
    }
}

/// A promise that is broken, and by what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    pub promise: Promise,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}

/// What was found so far.
#[derive(Default)]
struct Breaches(Vec<Breach>);

impl Breaches {
    fn add(&mut self, promise: Promise, what: impl Into<String>) {
        self.0.push(Breach { promise, what: what.into() });
    }
}

/// Every breach of a promise in a world at rest; none, if all is well.
pub fn check(world: &World) -> Vec<Breach> {
    let facts = Facts::of(world);
    let mut breaches = Breaches::default();
    buyers::check(&facts, &mut breaches);
    money::check(&facts, &mut breaches);
    events::check(&facts, &mut breaches);
    holds::check(&facts, &mut breaches);
    replicas::check(&facts, &mut breaches);
    claims::check(&facts, &mut breaches);
    let Breaches(mut found) = breaches;
    found.sort();
    found
}
