//! What a document stores about an answer that it awaits (`obligations.rs`).

use std::time::Duration;

use bson::{Document, doc};
use common::Time;
use common::back_off::back_off;
use mongodb::IndexModel;

use crate::mongo;

/// After this time without an answer the event is published again.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The pauses grow up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Over the documents that await an answer.
pub(crate) fn index() -> IndexModel {
    mongo::partial_index("unanswered", doc! { "remindAt": 1 }, doc! { "unanswered": true })
}

/// What is stored beside an object that has just changed.
pub(crate) fn fields(awaits_answer: bool, now: Time) -> Document {
    match awaits_answer {
        true => doc! { "unanswered": true, "remindAt": now + pause(0), "reminders": 0_i64 },
        false => doc! { "unanswered": false, "remindAt": null, "reminders": 0_i64 },
    }
}

pub(crate) fn pause(reminders: i64) -> Duration {
    let failures = u32::try_from(reminders + 1).unwrap_or(u32::MAX);
    back_off(failures, FIRST_PAUSE, LONGEST_PAUSE)
}
