//! What a listing never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::Promise;

/// A summary is due four times a second.
const SUMMARISED_WITHIN: Duration = Duration::from_secs(15);

pub const PROMISES: [Promise; 1] = [Promise {
    name: "listing_is_summarised",
    collection: "tickets",
    broken: |now| doc! { "dirty": true, "changedAt": { "$lt": now - SUMMARISED_WITHIN } },
}];
