//! Obligations end with their answer: an event that another service must answer is republished, with growing pauses, until
//! the answer has been seen. So it doesn't matter if the event, or its answer, was lost on the way: dead-lettered, discarded
//! by a full stream, or skipped.
//!
//! Whether an answer is awaited follows from the object ([`Aggregate::unanswered`]) and is stored beside it by the write
//! that changes it. The relay looks for what is due.

use bson::doc;
use common::Time;
use futures::TryStreamExt;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::documents::{Aggregate, Documents};
use crate::error::Result;
use crate::obligation_fields::{fields, pause};

/// How many documents one query returns.
const BATCH: usize = 64;

impl<T: Aggregate> Documents<T> {
    /// Documents of an older version don't say whether they await an answer: each is looked at once.
    pub(crate) async fn adopt_obligations(&self) -> Result<()> {
        let undecided = doc! { "unanswered": { "$exists": false } };
        let look = doc! { "unanswered": true, "remindAt": self.clock.now(), "reminders": 0_i64 };
        self.documents.update_many(undecided, doc! { "$set": look }).await?;
        Ok(())
    }

    /// Publishes again what is still unanswered. Another process may do the same at the same time: one of them succeeds.
    pub(crate) async fn remind(&self, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() && self.remind_batch().await? {}
        Ok(())
    }

    /// Whether there may be more.
    async fn remind_batch(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Due {
            #[serde(rename = "_id")]
            id: String,
            reminders: i64,
        }
        let now = self.clock.now();
        let due: Vec<Due> = self
            .documents
            .clone_with_type::<Due>()
            .find(doc! { "unanswered": true, "remindAt": { "$lte": now } })
            .projection(doc! { "reminders": 1 })
            .sort(doc! { "remindAt": 1 })
            .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .await?
            .try_collect()
            .await?;
        let is_full = due.len() == BATCH;
        for Due { id, reminders } in due {
            self.remind_of(&id, reminders, now).await?;
        }
        Ok(is_full)
    }

    async fn remind_of(&self, id: &str, reminders: i64, now: Time) -> Result<()> {
        let Some(thing) = self.collection().find_one(doc! { "_id": id }).await? else {
            return Ok(());
        };
        // A later version has written it, and knows what it is obliged to: this one looks again after a pause.
        let event = Some(&thing).filter(|thing| !thing.has_unknown_value()).and_then(T::unanswered);
        let number = reminders + 1;
        let filter = doc! { "_id": id, "version": thing.version(), "reminders": reminders };
        let beside = doc! { "remindAt": now + pause(number), "reminders": number };
        match event {
            Some(event) => {
                // The number begins again with each version, also if the event remains the same.
                let mark = format!("reminder-{}-{number}", thing.version());
                let event = event.republished(&mark);
                if self.write(filter, doc! {}, beside, &[event]).await? {
                    metrics::counter!("reminders_total", "collection" => T::COLLECTION)
                        .increment(1);
                    tracing::warn!(
                        collection = T::COLLECTION,
                        id,
                        number,
                        "unanswered, published again"
                    );
                }
            }
            None if thing.has_unknown_value() => {
                self.write(filter, doc! {}, beside, &[]).await?;
            }
            // Stored by an older version, which doesn't keep the mark up to date.
            None => {
                self.write(filter, doc! {}, fields(thing.unanswered().is_some(), now), &[]).await?;
            }
        }
        Ok(())
    }

    /// Publishes the object's current state again, under new ids: somebody was reminded of what it has already answered.
    pub async fn answer_again(&self, thing: &T) -> Result<()> {
        let mark = format!("again-{}", self.clock.now().millis());
        let events = thing.snapshot_events().into_iter();
        let events: Vec<_> = events.map(|event| event.republished(&mark)).collect();
        let filter = doc! { "_id": thing.id(), "version": thing.version() };
        // If it has changed meanwhile, that was published.
        if !events.is_empty() {
            self.write(filter, doc! {}, doc! {}, &events).await?;
        }
        Ok(())
    }
}
