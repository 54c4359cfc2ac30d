//! Tests of the whole marketplace, started as a person starts it (`cargo xtask up`) and used through its
//! gateway alone.

mod breakdown;
pub mod clock;
mod ledger;
mod person;
mod stack;

pub use breakdown::{Frozen, HeldDown};
pub use ledger::Ledger;
pub use person::Person;
pub use stack::Stack;
