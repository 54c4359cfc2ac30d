//! The sweep of Stripe's events: which of them were missed, and how far it has come.

use std::collections::HashSet;

use bson::doc;
use common::Time;
use mongodb::options::ReturnDocument;

use super::Store;
use crate::domain::{EventSweep, WebhookEvent};

/// The one document about the sweep of Stripe's events.
const SWEEP: &str = "events";

impl Store {
    /// Stores those of these events of which there was no webhook, or none that could be read. Returns how many.
    pub async fn insert_missed(&self, events: &[WebhookEvent]) -> store::Result<usize> {
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let known = doc! { "_id": { "$in": ids }, "intent": { "$type": "string" } };
        let known: HashSet<String> = {
            let known = self.webhooks.distinct("_id", known).await?;
            known.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
        };
        let mut missed = 0;
        for event in events.iter().filter(|event| !known.contains(&event.id)) {
            let unread = doc! { "_id": &event.id, "intent": null };
            let next_run_at = event.next_run_at;
            let read = doc! {
                "$set": { "kind": &event.kind, "intent": &event.intent, "nextRunAt": next_run_at },
                "$setOnInsert": { "receivedAt": event.received_at, "failures": 0_i64 },
            };
            match self.webhooks.update_one(unread, read).upsert(true).await {
                Ok(_) => missed += 1,
                // Its webhook has come meanwhile.
                Err(error) => match store::Error::from(error) {
                    error if error.duplicate_of().is_some() => {}
                    error => return Err(error),
                },
            }
        }
        Ok(missed)
    }

    /// Claims the sweep of Stripe's events until that time. None: another replica has it, or has just finished one.
    pub async fn claim_sweep(&self, now: Time, until: Time) -> store::Result<Option<EventSweep>> {
        let free = doc! { "_id": SWEEP, "leasedUntil": { "$lte": now } };
        let claim = doc! { "$set": { "leasedUntil": until } };
        let claim = self.sweeps.find_one_and_update(free, claim).upsert(true);
        match claim.return_document(ReturnDocument::After).await.map_err(store::Error::from) {
            Err(error) if error.duplicate_of().is_some() => Ok(None),
            claimed => claimed,
        }
    }

    /// Extends the claim; and records how far the sweep has come, if it is complete.
    pub async fn extend_sweep(&self, until: Time, up_to: Option<Time>) -> store::Result<()> {
        let mut latest = doc! { "leasedUntil": until };
        if let Some(up_to) = up_to {
            latest.insert("upTo", up_to);
        }
        self.sweeps.update_one(doc! { "_id": SWEEP }, doc! { "$max": latest }).await?;
        Ok(())
    }
}
