//! What the service says about its API: the route serves a snapshot of [`document`], which a test keeps equal to it.

use httpkit::openapi::{self, Document};

use crate::routes;

/// What the service serves.
pub const SNAPSHOT: &str = include_str!("../openapi.json");

/// The document of these routes.
pub fn document() -> Document {
    openapi::document(
        "orders",
        "Reservations, and what became of them.",
        vec![
            routes::list::call(),
            routes::create::call(),
            routes::problems::call(),
            routes::show::call(),
            routes::cancel::call(),
            routes::handover::call(),
            routes::history::call(),
        ],
    )
}
