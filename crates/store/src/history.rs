//! What has happened to an object, on its document: each event that described a change, when, and in which trace. The update
//! that makes the change writes it, as it writes the outbox; what is only published again has happened before.
//!
//! Only for those aggregates that people ask about (`Aggregate::KEEPS_HISTORY`). A version that doesn't keep it leaves it as
//! it is, and a gap.

use bson::{Bson, Document, doc};
use common::Time;
use common::events::Subject;
use httpkit::CurrentUser;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mongo;
use crate::outbox::OutboxEntry;

/// The field of a document.
pub(crate) const FIELD: &str = "history";
/// So many are kept, the newest.
const MAX_ENTRIES: i32 = 100;

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The event that describes it.
    #[schema(example = "order.cancelled")]
    pub event: String,
    /// What its name alone doesn't say, such as why an order has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "expired")]
    pub detail: Option<String>,
    pub at: Time,
    /// The trace in which it happened, for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: Option<String>,
}

/// What has happened, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// None of before it was kept.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
}

impl History {
    /// Trace ids say something to administrators alone.
    pub fn as_seen_by(mut self, user: &CurrentUser) -> History {
        if !user.is_admin() {
            self.history.iter_mut().for_each(|entry| entry.trace_id = None);
        }
        self
    }
}

/// What is stored about the events of a change. `detail`: what an event's name doesn't say.
pub(crate) fn entries(
    events: &[OutboxEntry],
    detail: impl Fn(Subject) -> Option<&'static str>,
) -> bson::error::Result<Vec<Bson>> {
    let entry = |event: &OutboxEntry| {
        let detail = event.subject.parse().ok().and_then(&detail);
        let entry = HistoryEntry {
            event: event.subject.clone(),
            detail: detail.map(str::to_owned),
            at: event.time,
            trace_id: event
                .traceparent
                .as_deref()
                .and_then(telemetry::trace_id_of)
                .map(str::to_owned),
        };
        mongo::document(&entry).map(Bson::Document)
    };
    events.iter().map(entry).collect()
}

/// How entries are added.
pub(crate) fn push(entries: Vec<Bson>) -> Document {
    doc! { "$each": entries, "$slice": -MAX_ENTRIES }
}
