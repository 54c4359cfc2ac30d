//! Keeps the fields that searches look at as they should be, where the write of a ticket doesn't do it: in documents of the
//! previous version, and in tickets that are no longer on sale, whose terms are removed after the sale, not by it.

use std::time::Duration;

use bson::{Bson, Document, doc};
use common::Time;
use futures::TryStreamExt;
use mongodb::options::Hint;
use store::Result;

use super::indexes::{Dimension, SEARCH_STATE, on_sale_index};
use super::position::uuid;
use super::{Store, TicketDocument};
use crate::domain::words;

/// How many tickets one command reads or writes.
const BATCH: usize = 500;
/// A ticket leaves the index so long after its event has begun. Meanwhile it is passed over.
const PAST: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Writes the fields of tickets that don't have them, or have those of an earlier version; all of them, if it isn't
    /// stopped. Each is done once, whichever process does it.
    pub async fn complete_search_index(&self, is_stopped: impl Fn() -> bool) -> Result<()> {
        let either = doc! { "$in": [true, false] };
        let not_by_this_version = doc! { "$or": [
            // Written by the previous version …
            { "listed": &either, "indexed": null },
            // … or put on sale again by it.
            { "listed": true, "indexed": false },
            { "listed": &either, "indexed": &either, "searchVersion": { "$lt": words::VERSION } },
        ] };
        while !is_stopped() {
            let found = self
                .documents
                .collection()
                .find(not_by_this_version.clone())
                .projection(doc! { "outbox": 0, "requests": 0, "description": 0 })
                .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
                .hint(Hint::Name(SEARCH_STATE.to_owned()))
                .await?;
            let found: Vec<TicketDocument> = found.try_collect().await?;
            if found.is_empty() {
                self.search_index.set_complete();
                return Ok(());
            }
            self.write_search_fields(found).await?;
        }
        Ok(())
    }

    /// The same of tickets that the previous version has edited since: it doesn't know the terms.
    pub async fn repair_search_index(&self) -> Result<()> {
        let either = doc! { "$in": [true, false] };
        let edits = ["$searchedEdit", "$editedVersion"];
        let [searched, edited] = edits.map(|edit| doc! { "$ifNull": [edit, 0_i64] });
        let found = self
            .documents
            .collection()
            .aggregate([
                doc! { "$match": { "listed": either } },
                doc! { "$project": { "searchedEdit": 1, "editedVersion": 1 } },
                doc! { "$match": { "$expr": { "$ne": [searched, edited] } } },
            ])
            .hint(Hint::Name(SEARCH_STATE.to_owned()))
            .await?;
        let mut batches = found.try_chunks(BATCH);
        while let Some(batch) = batches.try_next().await.map_err(|error| error.1)? {
            let ids = batch.into_iter().filter_map(|mut found| found.remove("_id"));
            let edited = doc! { "_id": { "$in": ids.collect::<Vec<_>>() } };
            let edited = self.documents.collection().find(edited).await?;
            self.write_search_fields(edited.try_collect().await?).await?;
        }
        Ok(())
    }

    /// Each unless it was changed since it was read: then that write, or the next pass, has done it.
    async fn write_search_fields(&self, tickets: Vec<TicketDocument>) -> Result<()> {
        let updates = tickets.into_iter().map(|TicketDocument(ticket)| {
            let text = ticket.searched_text();
            let is_listed = ticket.is_listed();
            let fields = doc! {
                "uuid": uuid(ticket.id),
                "words": text.stored(),
                "terms": if is_listed { text.prefixes() } else { Vec::new() },
                "indexed": is_listed,
                "searchVersion": words::VERSION,
                "searchedEdit": ticket.edited_version,
            };
            (ticket.id.to_string(), doc! { "version": ticket.version }, fields)
        });
        self.documents.set_each_where(updates).await?;
        Ok(())
    }

    /// Removes the terms of tickets that are no longer on sale, and from all lists of what is on sale those that are past.
    pub async fn retire(&self, now: Time) -> Result<()> {
        let sold = doc! { "listed": false, "indexed": true };
        self.retire_all(&sold, SEARCH_STATE).await?;
        let past = doc! { "listed": true, "onSaleUntil": { "$lt": now - PAST } };
        self.retire_all(&past, on_sale_index(Dimension::Date)).await
    }

    async fn retire_all(&self, which: &Document, index: &str) -> Result<()> {
        let collection = self.documents.collection().clone_with_type::<Document>();
        loop {
            let found = collection
                .find(which.clone())
                .projection(doc! { "_id": 1 })
                .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
                .hint(Hint::Name(index.to_owned()))
                .await?;
            let found: Vec<Document> = found.try_collect().await?;
            let ids: Vec<Bson> =
                found.into_iter().filter_map(|mut found| found.remove("_id")).collect();
            if ids.is_empty() {
                return Ok(());
            }
            let mut still = which.clone();
            still.insert("_id", doc! { "$in": ids });
            let retired = doc! { "listed": false, "indexed": false, "terms": [] };
            collection.update_many(still, doc! { "$set": retired }).await?;
        }
    }
}
