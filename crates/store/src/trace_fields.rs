//! What a document stores about the trace in which it was changed last (`traces.rs`).

use bson::{Document, doc};

/// What is stored beside an object that has just changed, if a background task works on objects of its kind.
pub(crate) fn fields(is_worked_on: bool) -> Document {
    let is_stored = is_worked_on && telemetry::is_exporting();
    match is_stored.then(telemetry::traceparent).flatten() {
        Some(traceparent) => doc! { "traceparent": traceparent },
        None => doc! {},
    }
}
