//! Tests of the whole marketplace, started as a person starts it (`cargo xtask up`) and used through its
//! gateway alone; and what lets chaos loose on it, and checks whether its promises hold.

mod breakdown;
pub mod browser;
pub mod chaos;
pub mod checker;
pub mod clock;
mod crowd;
mod ledger;
mod person;
mod plain;
mod stack;

pub use breakdown::{Frozen, HeldDown};
pub use browser::Browser;
pub use ledger::Ledger;
pub use person::Person;
pub use plain::{Form, Page, PlainBrowser};
pub use stack::{OtherWeb, Stack};
