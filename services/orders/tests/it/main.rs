//! Orders through its doors: the HTTP API and the bus, on a real MongoDB and a real broker.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod listeners;
mod lost;
mod operating;
mod outbox;
mod reserve;
mod routes;
mod sweep;
mod world;
