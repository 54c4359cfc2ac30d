//! What every service shares: the typed event bus, the signed-in user, errors, money, ids, time,
//! settings, telemetry, MongoDB, and the one function that serves a service.
//!
//! Boundary: nothing in here knows a ticket's or an order's rules; those live in the services.

pub mod auth;
pub mod bus;
pub mod clock;
pub mod config;
mod connections;
pub mod cursor;
pub mod edge;
pub mod error;
pub mod events;
pub mod extract;
pub mod foundation;
pub mod idempotency;
pub mod ids;
pub mod money;
pub mod mongo;
pub mod operate;
pub mod permissions;
pub mod server;
pub mod settings;
pub mod telemetry;
mod visitor;

pub use clock::{Clock, Time};
pub use error::{Error, Result};
pub use money::Money;
