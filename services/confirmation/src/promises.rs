//! What a mail never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::{Broken, Promise};

/// The worker looks twice a second, and what can't be sent is due later.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

pub const PROMISES: [Promise; 2] = [
    Promise {
        name: "mail_is_attempted",
        collection: "mails",
        broken: Broken::Indexed(|now| {
            doc! { "nextRunAt": { "$type": "date", "$lt": now - TAKEN_WITHIN } }
        }),
    },
    Promise {
        name: "mail_is_not_refused",
        collection: "mails",
        broken: Broken::Indexed(|_| doc! { "status": "failed" }),
    },
];
