//! Users and their sessions: signing up, in and out, and who the current user is.
//!
//! Boundary: only this service can mint a session token. The others verify it by themselves, with the
//! public key, and learn of users from `user.created`.

pub mod app;
mod cookies;
pub mod domain;
pub mod keys;
mod passwords;
mod routes;
pub mod state;
mod store;
mod tokens;
