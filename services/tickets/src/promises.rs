//! What a listing never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::Promise;

/// A summary is due four times a second.
const SUMMARISED_WITHIN: Duration = Duration::from_secs(15);

pub const PROMISES: [Promise; 3] = [
    Promise::published("listings_are_published", "tickets"),
    Promise::published("reservations_are_published", "reservations"),
    Promise {
        name: "listing_is_summarised",
        collection: "tickets",
        broken: |now| doc! { "dirty": true, "changedAt": { "$lt": now - SUMMARISED_WITHIN } },
    },
];
