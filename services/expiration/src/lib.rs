//! expiration: tells, within a second, that a hold has run out.
//!
//! Boundary: it decides nothing. orders ends a hold, by its own clock; this is the reminder that makes it
//! do so in time. MongoDB has the schedule of record; Redis only tells quickly what is due, and may be
//! lost at any moment.

pub mod app;
pub mod domain;
pub mod firing;
pub mod listeners;
pub mod state;
pub mod store;
pub mod timers;
