//! Documents, outbox, relay and bus together, against real servers.

#![expect(clippy::unwrap_used, reason = "a failing step fails the test")]

mod batches;
mod consume;
mod group_commit;
mod obligations;
mod outbox;
mod pools;
mod republish;
mod streams;
mod thing;
mod versions;
mod watch;
