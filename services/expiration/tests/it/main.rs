//! Expiration through its doors: the bus and the admin port, on a real MongoDB, Redis and broker.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod app;
mod domain;
mod firing;
mod listeners;
mod operating;
mod timers;
mod world;
