//! What a schedule never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::{Broken, Promise};

/// The sweep finds what the timers missed within seconds.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(15);

pub const PROMISES: [Promise; 2] = [
    Promise::published("expiries_are_published", "schedules"),
    Promise {
        name: "expiry_is_published_in_time",
        collection: "schedules",
        broken: Broken::Indexed(
            |now| doc! { "state": "scheduled", "expiresAt": { "$lt": now - PUBLISHED_WITHIN } },
        ),
    },
];
