//! payments: charges and refunds, at most one payment per order.
//!
//! Boundary: it knows orders only by their events, and never decides who gets a ticket. Only the [`worker`] calls Stripe,
//! through the [`gateway`]; a listener never does.

pub mod admin;
pub mod app;
pub mod domain;
pub mod executions;
pub mod gateway;
pub mod listeners;
pub mod openapi;
pub mod promises;
pub mod reconcile;
pub mod response;
pub mod routes;
pub mod state;
pub mod store;
pub mod sweep;
pub mod view;
pub mod waiting;
pub mod webhooks;
pub mod worker;
