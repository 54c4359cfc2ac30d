//! The service through its HTTP API, on real servers.
#![expect(clippy::unwrap_used, reason = "a failed helper fails its test")]

mod admin;
mod bans;
mod batches;
mod commands;
mod create;
mod delete;
mod door;
mod edit;
mod http;
mod idempotency;
mod list;
mod listeners;
mod openapi;
mod places;
mod query_plans;
mod search;
mod search_bounds;
mod search_index;
mod search_pages;
mod shared;
mod show;
mod world;
