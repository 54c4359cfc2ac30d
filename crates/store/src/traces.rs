//! The trace in which a document was changed last, on the document: work that a background task does because of the change,
//! perhaps in another process and much later, is part of it.
//!
//! Only where spans are exported, and only for those aggregates on which work is continued ([`Aggregate::IS_WORKED_ON`]).

use std::collections::HashMap;

use bson::doc;
use futures::TryStreamExt;
use serde::Deserialize;

use crate::documents::{Aggregate, Documents};
use crate::error::Result;

/// The traces of some documents, by their ids.
#[derive(Debug, Default)]
pub struct Traces(HashMap<String, String>);

impl Traces {
    /// The `traceparent` of a document; none if nothing is known.
    pub fn of(&self, id: impl ToString) -> Option<&str> {
        // Without a collector, nothing is.
        if self.0.is_empty() { None } else { self.0.get(&id.to_string()).map(String::as_str) }
    }
}

impl<T: Aggregate> Documents<T> {
    /// The traces of these documents. None is known if that can't be read: what is due is done nevertheless.
    pub async fn traces<I: ToString>(&self, ids: impl IntoIterator<Item = I>) -> Traces {
        if !telemetry::is_exporting() {
            return Traces::default();
        }
        let ids = ids.into_iter().map(|id| id.to_string()).collect();
        self.stored_traces(ids).await.unwrap_or_else(|error| {
            tracing::debug!(collection = T::COLLECTION, %error, "could not read traces");
            Traces::default()
        })
    }

    async fn stored_traces(&self, ids: Vec<String>) -> Result<Traces> {
        #[derive(Deserialize)]
        struct Traced {
            #[serde(rename = "_id")]
            id: String,
            traceparent: String,
        }
        if ids.is_empty() {
            return Ok(Traces::default());
        }
        let traced = doc! { "_id": { "$in": ids }, "traceparent": { "$type": "string" } };
        let documents = self.documents.clone_with_type::<Traced>();
        let found = documents.find(traced).projection(doc! { "traceparent": 1 }).await?;
        let found = found.map_ok(|Traced { id, traceparent }| (id, traceparent));
        Ok(Traces(found.try_collect().await?))
    }
}
