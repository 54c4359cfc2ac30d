//! Tests of the whole stack, started as a person starts it (`cargo xtask up`) and used through its gateway; and fault
//! injection under load, with a checker of the invariants; and benchmarks.

pub mod bench;
pub mod browser;
mod bulk_listings;
pub mod chaos;
pub mod checker;
pub mod clock;
pub mod commands;
mod fault_injection;
mod ledger;
mod mails;
mod person;
mod plain;
mod processes;
pub mod program;
mod prometheus;
pub mod search_load;
mod stack;
mod trace;
pub mod workspace;

pub use browser::Browser;
pub use fault_injection::{Frozen, KeptDown};
pub use ledger::Ledger;
pub use mails::link_in;
pub use person::Person;
pub use plain::{Form, Page, PlainBrowser};
pub use processes::{Process, Processes};
pub use prometheus::Prometheus;
pub use stack::{OtherWeb, Stack, free_port};
pub use trace::{PURCHASE, Trace};
