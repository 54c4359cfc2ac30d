//! One endpoint per file; `app::routes` maps the paths to them.

pub mod currentuser;
pub mod end_all_sessions;
pub mod end_session;
mod errors;
pub mod refresh;
pub mod sessions;
pub mod signin;
pub mod signout;
pub mod signup;
