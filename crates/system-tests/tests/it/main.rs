//! The whole marketplace through its gateway.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod bus_users;
mod crashes;
mod degraded;
mod documents;
mod gateway;
mod hang_up;
mod kubernetes;
mod left_running;
mod live;
mod losses;
mod pages;
mod races;
mod settings;
mod shared;
mod tour;
mod upgrades;
mod walkthroughs;
