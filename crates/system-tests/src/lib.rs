//! Tests of the whole marketplace, started as a person starts it (`cargo xtask up`) and used through its
//! gateway alone.

pub mod browser;
mod crowd;
mod person;
mod stack;

pub use browser::Browser;
pub use person::Person;
pub use stack::Stack;
