//! web: the pages that people buy and sell on.
//!
//! Boundary: it owns no data and decides nothing. It calls the services' HTTP API with the visitor's session,
//! as their browser could, and renders the responses.

pub mod api;
pub mod app;
pub mod assets;
pub mod cards;
mod devices;
pub mod format;
mod forms;
pub mod live;
pub mod notice;
pub mod page;
pub mod pages;
mod parts;
mod reference;
mod revocations;
pub mod session;
pub mod sitemap;
pub mod state;
mod stripe;
pub mod visitor;
