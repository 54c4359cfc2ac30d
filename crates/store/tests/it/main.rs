//! What every service relies on, against real servers.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod listen;
mod outbox;
mod retell;
mod streams;
mod thing;
mod watch;
