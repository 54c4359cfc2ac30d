//! The whole stack, through its gateway.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod alerts_live;
mod api_tokens;
mod asyncapi;
mod bus_users;
mod client_disconnects;
mod codes;
mod commands;
mod compose;
mod crashes;
mod data_loss;
mod degraded;
mod documents;
mod durability_checks;
mod gateway;
mod key_rotation;
mod kubernetes;
mod layers;
mod live;
mod memory;
mod openapi;
mod outbox_metrics;
mod pages;
mod races;
mod readme_tour;
mod replica_sets;
mod revocations;
mod rooms;
mod schemathesis;
mod shared;
mod stale_processes;
mod tracing;
mod upgrades;
mod walkthroughs;
