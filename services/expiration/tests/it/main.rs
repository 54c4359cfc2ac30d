//! Expiration through its doors: the bus and the admin port, on a real MongoDB, Redis and broker.

mod app;
mod domain;
mod firing;
mod listeners;
mod timers;
mod world;
