//! What a listing never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::{Broken, Promise};

/// A summary is due four times a second.
const SUMMARISED_WITHIN: Duration = Duration::from_secs(15);

pub const PROMISES: [Promise; 4] = [
    Promise::published("listings_are_published", "tickets"),
    Promise::published("reservations_are_published", "reservations"),
    Promise {
        name: "listing_is_summarised",
        collection: "tickets",
        broken: Broken::Indexed(
            |now| doc! { "dirty": true, "changedAt": { "$lt": now - SUMMARISED_WITHIN } },
        ),
    },
    Promise {
        name: "only_paid_places_come_in",
        collection: "reservations",
        broken: Broken::Indexed(|_| doc! { "status": "reserved", "checkIns.place": { "$gte": 1 } }),
    },
];
