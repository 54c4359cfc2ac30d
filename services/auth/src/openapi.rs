//! What the service says about its API: the route serves a snapshot of [`document`], which a test keeps equal to it.

use httpkit::openapi::{self, Document};

use crate::routes;

/// What the service serves.
pub const SNAPSHOT: &str = include_str!("../openapi.json");

/// The document of these routes.
pub fn document() -> Document {
    openapi::document(
        "auth",
        "Accounts, sessions and API tokens.",
        vec![
            routes::signup::call(),
            routes::signin::call(),
            routes::signout::call(),
            routes::refresh::call(),
            routes::currentuser::call(),
            routes::currentuser::alias(),
            routes::change::call(),
            routes::request_verification::call(),
            routes::verify::call(),
            routes::request_recovery::call(),
            routes::recover::call(),
            routes::disown::call(),
            routes::sessions::call(),
            routes::end_all_sessions::call(),
            routes::end_session::call(),
            routes::tokens::call(),
            routes::create_token::call(),
            routes::access_token::call(),
            routes::revoke_token::call(),
            routes::jwks::call(),
            routes::find_user::call(),
            routes::audit::call(),
            routes::show_user::call(),
            routes::ban::call(),
            routes::unban::call(),
            routes::add_to_group::call(),
            routes::remove_from_group::call(),
        ],
    )
}
