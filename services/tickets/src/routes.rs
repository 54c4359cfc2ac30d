//! One endpoint per file; `app::routes` maps the paths to them.

pub mod create;
pub mod delete;
pub mod edit;
mod errors;
pub mod list;
pub mod show;
