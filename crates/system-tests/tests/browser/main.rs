//! Buying and selling on the pages, in a real Chromium. A test binary of its own: `cargo xtask test -- --test browser`.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod account;
mod cards;
mod care;
mod delivery;
mod door;
mod escaping;
mod gallery;
mod inspection;
mod live;
mod many;
mod people;
mod replica;
mod sale;
mod session;
mod shared;
mod stripe_js;
mod the_browser;
mod tracing;
mod zones;
