//! What every service that speaks HTTP relies on, through a real server.

#![expect(clippy::unwrap_used, reason = "a failing step fails the test")]

mod allocations;
mod server;
mod sessions;
