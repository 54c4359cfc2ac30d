//! confirmation: mails to buyers and sellers.
//!
//! Boundary: it decides nothing about orders and payments; it reports what their events say. A mail is written to MongoDB
//! before its event is acknowledged, once per event and addressee, and sent from there.

pub mod admin;
pub mod app;
pub mod domain;
pub mod listeners;
pub mod mailer;
pub mod message;
pub mod openapi;
pub mod promises;
pub mod routes;
pub mod settings;
pub mod state;
pub mod store;
pub mod view;
pub mod worker;
