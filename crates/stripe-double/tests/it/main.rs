//! Requests to a real server, on a free port, with a directory of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod api;
mod capture;
mod client_library;
mod confirmation_tokens;
mod disputes;
mod durability;
mod faults;
mod idempotency;
mod payment_intents;
mod receiver;
mod refunds;
mod stripe_objects;
mod support;
mod three_d_secure;
mod webhook_faults;
mod webhooks;
