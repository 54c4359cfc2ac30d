//! One endpoint a file.

pub mod cancel;
pub mod create;
pub mod list;
pub mod show;
