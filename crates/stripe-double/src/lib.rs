//! A local Stripe: the part of its API that takes a card payment and gives it back, with Stripe's own states, errors,
//! test cards and idempotency, kept on the disk; and switches to let it fail. No money, no accounts, no browser.

// A charge has more fields than `json!` counts by default.
#![recursion_limit = "256"]

mod answer;
mod app;
mod call;
mod cards;
mod clock;
mod config;
mod counters;
mod draft;
mod errors;
mod expand;
mod faults;
mod idempotency;
mod ids;
mod journal;
mod ledger;
mod model;
mod money;
mod pages;
mod params;
mod render;
mod routes;
mod server;
mod wire;

pub use clock::{Clock, ManualClock};
pub use config::{Config, Settings};
pub use server::StripeDouble;
