//! One endpoint a file, as in `src/routes`, and what holds for all of them.

mod cancel;
mod create;
mod edge;
mod idempotency;
mod list;
mod show;
