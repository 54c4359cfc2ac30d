//! Tickets for sale: who offers what, at which price, and whether it can be had just now.
//!
//! Boundary: it doesn't decide who holds a ticket. The orders service does; this one follows its
//! events, and shows and guards what they say.

pub mod app;
pub mod domain;
pub mod draft;
pub mod listeners;
pub mod routes;
pub mod search;
pub mod state;
pub mod store;
pub mod view;
