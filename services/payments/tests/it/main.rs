//! Payments through its doors: the HTTP API, the bus, and Stripe (the local double, or the real one).

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod create;
mod gateway;
mod idempotency;
mod listeners;
mod operating;
mod races;
mod refund;
mod show;
mod unknown;
mod world;
