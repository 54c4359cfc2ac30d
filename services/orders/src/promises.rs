//! What an order never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::Promise;

/// Timers, the next buyer and the sweep, which comes ten seconds late, all end it.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// payments answers within seconds, once Stripe does.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

pub const PROMISES: [Promise; 3] = [
    Promise::published("orders_are_published", "orders"),
    Promise {
        name: "reservation_ends_in_time",
        collection: "orders",
        broken: |now| doc! { "unpaid": true, "expiresAt": { "$lt": now - ENDS_WITHIN } },
    },
    Promise {
        name: "rejected_payment_is_returned",
        collection: "orders",
        broken: |now| {
            let since = now - ANSWERED_WITHIN;
            doc! { "unanswered": true, "remindAt": { "$type": "date" }, "changedAt": { "$lt": since } }
        },
    },
];
