//! auth: users and their sessions.
//!
//! Boundary: only this service can issue a session token. Other services verify it with the public key, and receive users
//! by `user.created`.

pub mod app;
mod cookies;
mod device;
pub mod domain;
mod first_admin;
mod key_files;
pub mod keys;
mod known_devices;
pub mod limits;
mod nonces;
pub mod openapi;
mod passwords;
pub mod promises;
mod recoveries;
mod routes;
mod sessions;
pub mod state;
mod store;
mod tokens;
mod view;
mod write_limit;
