//! What a mail never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::Promise;

/// The worker looks twice a second, and what can't be sent is due later.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

pub const PROMISES: [Promise; 2] = [
    Promise {
        name: "mail_is_attempted",
        collection: "mails",
        broken: |now| {
            doc! { "nextRunAt": { "$type": "date", "$lt": now - TAKEN_WITHIN } }
        },
    },
    Promise {
        name: "mail_is_not_refused",
        collection: "mails",
        broken: |_| doc! { "status": "failed" },
    },
];
