//! orders: the one place that decides who holds a ticket.
//!
//! Boundary: it knows tickets and payments only by their events, and ends a hold by its own clock alone.

pub mod app;
pub mod domain;
pub mod listeners;
pub mod release;
pub mod reserve;
pub mod routes;
pub mod state;
pub mod store;
pub mod sweep;
pub mod view;
