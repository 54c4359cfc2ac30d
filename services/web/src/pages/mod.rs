//! One page a file: what it shows, and what its forms do; `app::routes` says which address is whose.
//! Each has a template of the same name in `templates/`.

pub mod browse;
pub mod errors;
pub mod signin;
pub mod signout;
pub mod signup;
pub mod ticket;
