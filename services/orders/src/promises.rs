//! What an order never is for longer than a moment.

use std::time::Duration;

use bson::doc;
use store::{Broken, Promise};

/// Timers, the next buyer and the sweep, which comes ten seconds late, all end it.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// payments answers within seconds, once Stripe does.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

pub const PROMISES: [Promise; 4] = [
    Promise::published("orders_are_published", "orders"),
    Promise {
        name: "reservation_ends_in_time",
        collection: "orders",
        broken: Broken::Indexed(
            |now| doc! { "unpaid": true, "expiresAt": { "$lt": now - ENDS_WITHIN } },
        ),
    },
    Promise {
        name: "rejected_payment_is_returned",
        collection: "orders",
        broken: Broken::Indexed(|now| {
            let since = now - ANSWERED_WITHIN;
            doc! { "unanswered": true, "remindAt": { "$type": "date" }, "changedAt": { "$lt": since } }
        }),
    },
    Promise {
        name: "place_has_one_order",
        collection: "orders",
        broken: Broken::Scanned(|| {
            vec![
                doc! { "$match": { "occupies": true } },
                doc! { "$project": { "ticketId": 1, "places": 1 } },
                doc! { "$unwind": "$places" },
                doc! { "$group": {
                    "_id": { "ticket": "$ticketId", "place": "$places" }, "orders": { "$sum": 1 },
                } },
                doc! { "$match": { "orders": { "$gt": 1 } } },
            ]
        }),
    },
];
