//! What the service says about its API: the route serves a snapshot of [`document`], which a test keeps equal to it.

use httpkit::openapi::{self, Document};

use crate::routes::{
    admission_codes, checkin, checkins, create, delete, dismiss, door, edit, invitation, join,
    list, show,
};

/// What the service serves.
pub const SNAPSHOT: &str = include_str!("../openapi.json");

/// The document of these routes.
pub fn document() -> Document {
    openapi::document(
        "tickets",
        "Listings: what is for sale, and who comes in with it.",
        vec![
            list::call(),
            create::call(),
            show::call(),
            edit::call(),
            delete::call(),
            checkin::call(),
            door::call(),
            invitation::call(),
            join::call(),
            dismiss::call(),
            admission_codes::call(),
            checkins::call(),
        ],
    )
}
