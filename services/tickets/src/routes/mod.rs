//! One endpoint a file.

mod create;
mod delete;
mod edit;
mod list;
mod show;

pub use create::create;
pub use delete::delete;
pub use edit::edit;
pub use list::list;
pub use show::show;
