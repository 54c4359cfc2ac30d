//! What a payment never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::{Broken, Promise};

use crate::domain::PARKED_AFTER;

/// orders answers within seconds.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
const REFUNDED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The worker looks twice a second, and what can't be done is due later.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);

pub const PROMISES: [Promise; 6] = [
    Promise::published("payments_are_published", "payments"),
    Promise {
        name: "payment_is_worked_on",
        collection: "payments",
        broken: Broken::Indexed(
            |now| doc! { "workAt": { "$type": "date", "$lt": now - BEGUN_WITHIN } },
        ),
    },
    Promise {
        name: "webhook_is_handled",
        collection: "webhooks",
        broken: Broken::Indexed(
            |now| doc! { "nextRunAt": { "$type": "date", "$lt": now - BEGUN_WITHIN } },
        ),
    },
    Promise {
        name: "payment_is_answered",
        collection: "payments",
        broken: Broken::Indexed(|now| {
            let since = now - ANSWERED_WITHIN;
            doc! { "unanswered": true, "remindAt": { "$type": "date" }, "changedAt": { "$lt": since } }
        }),
    },
    Promise {
        name: "refund_is_done_within_a_day",
        collection: "payments",
        broken: Broken::Indexed(|now| {
            doc! {
                "workAt": { "$type": "date" },
                "charge.status": "refunding",
                "changedAt": { "$lt": now - REFUNDED_WITHIN },
            }
        }),
    },
    Promise {
        name: "payment_is_not_parked",
        collection: "payments",
        broken: Broken::Indexed(|_| doc! { "failures": { "$gte": i64::from(PARKED_AFTER) } }),
    },
];
