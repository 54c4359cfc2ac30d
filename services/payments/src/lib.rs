//! payments: charges and refunds, at most one charge an order.
//!
//! Boundary: it knows orders by their events alone, and never decides who has a ticket. Stripe is
//! reached through [`gateway`] and by the [`worker`] only, never from a listener.

pub mod answer;
pub mod app;
pub mod domain;
pub mod gateway;
pub mod listeners;
pub mod routes;
pub mod state;
pub mod steps;
pub mod store;
pub mod view;
pub mod words;
pub mod worker;
