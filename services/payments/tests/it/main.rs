//! Payments through its doors: the HTTP API, the bus, and Stripe (the local double, or the real one).

mod create;
mod gateway;
mod listeners;
mod races;
mod show;
mod unknown;
mod world;
