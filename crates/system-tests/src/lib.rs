//! Tests of the whole marketplace, started as a person starts it (`cargo xtask up`) and used through its
//! gateway alone; and what lets chaos loose on it, and checks whether its promises hold.

pub mod chaos;
pub mod checker;
mod breakdown;
pub mod clock;
mod ledger;
mod person;
mod stack;

pub use breakdown::{Frozen, HeldDown};
pub use ledger::Ledger;
pub use person::Person;
pub use stack::Stack;
