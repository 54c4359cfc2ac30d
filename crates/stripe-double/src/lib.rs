//! A local Stripe: the part of its API that takes card payments and refunds them, with Stripe's states, errors, test cards
//! and idempotency, durable state, and fault injection. No money, no accounts.

// A charge has more fields than `json!` can expand with the default limit.
#![recursion_limit = "256"]

mod app;
mod cards;
mod clock;
mod config;
mod connection;
mod counters;
mod deadlines;
mod disputes;
mod errors;
mod events;
mod expand;
mod faults;
mod html;
mod idempotency;
mod ids;
mod journal;
mod ledger;
mod model;
mod money;
mod pagination;
mod params;
mod render;
mod request;
mod response;
mod routes;
mod scheduler;
mod server;
mod transaction;
mod webhooks;

pub use clock::{Clock, ManualClock};
pub use config::{Config, Settings, Webhook};
pub use server::StripeDouble;
