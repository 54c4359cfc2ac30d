//! One endpoint per file, as in `src/routes`, and what applies to all of them.

mod cancel;
mod create;
mod handover;
mod history;
mod idempotency;
mod list;
mod middleware;
mod problems;
mod show;
