//! payments through its interfaces: the HTTP API, the bus, and Stripe (the local double, or the real one).

#![expect(clippy::unwrap_used, reason = "a test fails where an expectation is violated")]

mod admin;
mod card_testing;
mod create;
mod decisions;
mod gateway;
mod history;
mod idempotency;
mod listeners;
mod openapi;
mod queries;
mod races;
mod reconcile;
mod refund;
mod show;
mod three_d_secure;
mod unknown_outcomes;
mod webhooks;
mod world;
