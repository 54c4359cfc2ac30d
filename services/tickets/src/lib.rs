//! tickets: the listings, their prices, and whether each ticket is available, reserved or sold.
//!
//! Boundary: it doesn't decide who may reserve a ticket. The orders service does; this one applies its events, shows the
//! status that follows from them, and refuses changes that contradict it.

pub mod app;
pub mod body;
pub mod domain;
pub mod listeners;
pub mod openapi;
pub mod promises;
pub mod routes;
mod search_index;
pub mod state;
pub mod store;
mod summaries;
pub mod view;
