//! Through the door: requests to a real server, on a free port, with a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod async_stripe;
mod durability;
mod faults;
mod idempotency;
mod payment_intents;
mod refunds;
mod support;
mod the_api;
