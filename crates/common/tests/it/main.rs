//! What every service relies on, against real servers.

mod listen;
mod outbox;
mod server;
mod thing;
