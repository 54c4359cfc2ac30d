//! Orders through its doors: the HTTP API and the bus, on a real MongoDB and a real broker.

mod listeners;
mod outbox;
mod reserve;
mod routes;
mod sweep;
mod world;
