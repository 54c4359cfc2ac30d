//! orders: the one place that decides who has reserved a ticket, and who has bought it.
//!
//! Boundary: it knows tickets, payments and users only by their events, and only its own clock ends a reservation.

pub mod app;
mod bans;
pub mod domain;
pub mod listeners;
pub mod openapi;
pub mod promises;
pub mod recovery;
pub mod reserve;
pub mod routes;
pub mod shortages;
pub mod state;
pub mod store;
pub mod sweep;
pub mod view;
