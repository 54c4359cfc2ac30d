//! expiration: publishes, within a second, that a reservation has expired.
//!
//! Boundary: it decides nothing. orders ends a reservation, by its own clock; `expiration.complete` reminds it in time.
//! MongoDB has the schedule of record. Redis is a fast queue of what is due, and may lose everything at any time.

pub mod app;
pub mod domain;
pub mod expiry_worker;
pub mod listeners;
pub mod promises;
pub mod state;
pub mod store;
pub mod timers;
