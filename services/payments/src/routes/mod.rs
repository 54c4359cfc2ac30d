//! One endpoint a file.

pub mod create;
pub mod list;
pub mod refund;
pub mod show;
