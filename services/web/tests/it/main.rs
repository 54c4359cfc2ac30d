//! web over HTTP, without the services behind it.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod live;
mod parts;
mod world;
