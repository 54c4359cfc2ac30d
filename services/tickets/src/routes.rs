//! One endpoint per file; `app::routes` maps the paths to them.

pub mod admission_codes;
pub mod checkin;
pub mod checkins;
pub mod create;
pub mod delete;
pub mod dismiss;
pub mod door;
pub mod edit;
mod errors;
pub mod invitation;
pub mod join;
pub mod list;
pub mod show;
