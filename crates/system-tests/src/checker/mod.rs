//! The checker: whether the invariants hold, for every order, every ticket and every cent.
//!
//! It trusts no service: once the stack is idle, it reads every database, every stream and Stripe's ledger, and compares.
//! It shares only the catalogue of events with the services, and no decision depends on a clock: the order of writes comes
//! from MongoDB's oplog.

mod acknowledged;
mod acknowledgements;
mod admissions;
mod buyers;
mod catalogue;
mod events;
mod index;
mod mails;
mod money;
mod replicas;
mod reservations;
mod servers;
mod snapshot;
mod stripe;
mod stuck;
mod violations;

pub use acknowledged::{
    Acknowledged, AcknowledgedAdmission, AcknowledgedOrder, AcknowledgedPayment,
    AcknowledgedRefund, AcknowledgedTicket, Replay,
};
pub use money::Totals;
pub use servers::{PendingWork, Servers};
pub use snapshot::*;
pub use violations::{Invariant, Violation};

use index::Index;
use violations::Violations;

/// All violations in a snapshot of an idle stack.
pub fn check(snapshot: &Snapshot) -> Vec<Violation> {
    let index = Index::of(snapshot);
    let mut violations = Violations::default();
    buyers::check(&index, &mut violations);
    money::check(&index, &mut violations);
    stripe::check(&index, &mut violations);
    events::check(&index, &mut violations);
    stuck::check(&index, &mut violations);
    replicas::check(&index, &mut violations);
    reservations::check(&index, &mut violations);
    mails::check(&index, &mut violations);
    admissions::check(&index, &mut violations);
    acknowledgements::check(&index, &mut violations);
    violations.sorted()
}
