//! orders through its two entrances, the HTTP API and the bus, on a real MongoDB and a real NATS.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

mod admin;
mod commands;
mod listeners;
mod openapi;
mod outbox;
mod places;
mod promises;
mod query_plans;
mod recovery;
mod reserve;
mod routes;
mod slots;
mod startup;
mod sweep;
mod world;
