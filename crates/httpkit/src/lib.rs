//! HTTP, as every service serves it: middleware, extractors, responses, errors, the signed-in user, paging, and the
//! server itself with its admin port and graceful shutdown.
//!
//! Boundary: no database and no bus. A service that stores something adds those through the crate `service`.

pub mod auth;
pub mod caller;
mod client_ip;
pub mod conditional;
pub mod ed25519;
pub mod error;
pub mod extract;
mod graceful_shutdown;
pub mod idempotency;
pub mod middleware;
pub mod openapi;
pub mod paging;
mod rate_limit;
pub mod response;
pub mod revocations;
pub mod run;
pub mod server;
pub mod settings;
pub mod shared_reads;
pub mod turns;
mod unread_body;
pub mod validation;

pub use auth::CurrentUser;
pub use caller::Caller;
pub use client_ip::ClientIp;
pub use error::{Error, Result};
pub use revocations::{Revocation, Revocations};
pub use server::Service;
pub use shared_reads::{MaxAge, SharedReads};
pub use turns::Turns;
