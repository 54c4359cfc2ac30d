//! payments through its interfaces: the HTTP API, the bus, and Stripe (the local double, or the real one).

#![expect(clippy::unwrap_used, reason = "a test fails where an expectation is violated")]

mod admin;
mod create;
mod gateway;
mod idempotency;
mod listeners;
mod queries;
mod races;
mod refund;
mod show;
mod unknown_outcomes;
mod world;
