//! The service through its door, on real servers.
#![expect(clippy::unwrap_used, reason = "what fails beside a test fails the test")]

mod create;
mod delete;
mod door;
mod edit;
mod idempotency;
mod list;
mod listeners;
mod market;
mod operating;
mod plans;
mod search;
mod show;
