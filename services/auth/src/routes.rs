//! One endpoint per file; `app::routes` maps the paths to them.

pub mod currentuser;
mod errors;
pub mod refresh;
pub mod signin;
pub mod signout;
pub mod signup;
