//! One endpoint per file, and the problems of the domain's refusals.

pub mod cancel;
pub mod create;
mod errors;
pub mod handover;
pub mod history;
pub mod list;
pub mod problems;
pub mod show;
