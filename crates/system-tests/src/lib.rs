//! Tests of the whole marketplace, started as a person starts it (`cargo xtask up`) and used through its
//! gateway alone; and what lets chaos loose on it, and checks whether its promises hold.

mod breakdown;
mod browser;
pub mod chaos;
pub mod checker;
pub mod clock;
mod ledger;
mod person;
mod stack;

pub use breakdown::{Frozen, HeldDown};
pub use browser::{Browser, Form, Page};
pub use ledger::Ledger;
pub use person::Person;
pub use stack::{OtherWeb, Stack};
