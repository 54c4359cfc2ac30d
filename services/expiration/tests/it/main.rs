//! expiration through the bus and the admin port, on a real MongoDB, Redis and NATS.

#![expect(clippy::unwrap_used, reason = "a failed helper fails its test")]

mod admin;
mod app;
mod domain;
mod expiry_worker;
mod listeners;
mod queries;
mod timers;
mod world;
