//! What turns a database, a bus and routes into one of our services: settings, context, durability checks, and the admin
//! CLI that every service has.

pub mod admin;
mod context;
mod durability;
mod microservice;
mod revocations;
mod settings;

pub use admin::AdminCommands;
pub use context::{BackgroundTask, HttpState, ServiceContext};
pub use microservice::{Microservice, main, run_command};
pub use settings::ContextSettings;
