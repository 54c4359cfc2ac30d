//! The relay: publishes what the outboxes hold until JetStream has acknowledged it.

use std::time::Duration;

use bson::doc;
use bus::{Bus, Outgoing};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::documents::{Aggregate, Documents};
use crate::mongo;
use crate::outbox::OutboxEntry;

/// How often the relay looks for what a killed process left behind.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it checks that the streams exist: a broker may lose them without an error.
const STREAM_CHECK: Duration = Duration::from_secs(5);
/// How many documents are relayed concurrently.
const CONCURRENCY: usize = 16;
/// How many documents one query returns.
const BATCH: i64 = 256;

impl<T: Aggregate> Documents<T> {
    /// Publishes pending events, at once when this process writes some and every second in any case, until `stop` is
    /// cancelled; then once more.
    pub async fn relay(self, bus: Bus, stop: CancellationToken) {
        let mut checked: Option<Instant> = None;
        let mut replay: Option<JoinHandle<()>> = None;
        loop {
            if checked.is_none_or(|checked| checked.elapsed() > STREAM_CHECK) {
                match bus.ensure_streams().await {
                    Ok(()) => {
                        checked = Some(Instant::now());
                        if replay.as_ref().is_none_or(JoinHandle::is_finished) {
                            replay = Some(self.spawn_replay(&bus, &stop));
                        }
                    }
                    Err(error) => tracing::warn!(
                        error = format!("{error:#}"),
                        "JetStream streams unavailable, retrying"
                    ),
                }
            }
            if let Err(error) = self.relay_pending(&bus).await {
                // The streams may be missing: a wiped broker has none.
                checked = None;
                metrics::counter!("outbox_relay_failures_total", "collection" => T::COLLECTION)
                    .increment(1);
                tracing::warn!(
                    collection = T::COLLECTION,
                    error = format!("{error:#}"),
                    "could not publish, events stay in the outbox"
                );
            }
            if stop.is_cancelled() {
                break;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(SWEEP) => {}
                () = stop.cancelled() => {}
            }
        }
        if let Some(replay) = replay {
            // It has the same token, and completes the write that it has begun.
            drop(replay.await);
        }
    }

    /// Republishes to recreated streams, beside the relay.
    fn spawn_replay(&self, bus: &Bus, stop: &CancellationToken) -> JoinHandle<()> {
        let (documents, bus, stop) = (self.clone(), bus.clone(), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = documents.replay_to_new_streams(&bus, &stop).await {
                tracing::warn!(
                    collection = T::COLLECTION,
                    error = format!("{error:#}"),
                    "republishing to new stream incomplete"
                );
            }
        })
    }

    /// Publishes until no document has pending events, beside other relays.
    pub async fn relay_all(&self, bus: &Bus, timeout: Duration) -> anyhow::Result<()> {
        const PAUSE: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + timeout;
        loop {
            let relayed = async {
                bus.ensure_streams().await?;
                self.relay_pending(bus).await
            };
            match relayed.await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn relay_pending(&self, bus: &Bus) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Pending {
            #[serde(rename = "_id")]
            id: String,
            outbox: Vec<OutboxEntry>,
        }
        loop {
            let pending: Vec<Pending> = self
                .documents
                .clone_with_type::<Pending>()
                .find(doc! { "outboxPending": true })
                .projection(doc! { "outbox": 1 })
                .read_concern(mongo::majority())
                .limit(BATCH)
                .await?
                .try_collect()
                .await?;
            metrics::gauge!("outbox_pending", "collection" => T::COLLECTION)
                .set(u32::try_from(pending.len()).unwrap_or(u32::MAX));
            if pending.is_empty() {
                return Ok(());
            }
            // The events of one document are published in order; documents don't wait for each other.
            futures::stream::iter(pending)
                .map(|document| async move {
                    for entry in &document.outbox {
                        bus.publish(outgoing(entry)).await?;
                    }
                    let published =
                        document.outbox.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>();
                    self.remove(&document.id, &published).await?;
                    anyhow::Ok(())
                })
                .buffer_unordered(CONCURRENCY)
                .try_collect::<Vec<()>>()
                .await?;
        }
    }

    /// Removes exactly what was published, and computes the flag from what remains: an event that was pushed meanwhile
    /// stays, and keeps the document pending.
    async fn remove(&self, id: &str, published: &[&str]) -> mongodb::error::Result<()> {
        let remaining = doc! { "$filter": {
            "input": "$outbox",
            "cond": { "$not": [{ "$in": ["$$this.id", published] }] },
        } };
        let pipeline = vec![
            doc! { "$set": { "outbox": remaining } },
            doc! { "$set": { "outboxPending": { "$gt": [{ "$size": "$outbox" }, 0] } } },
        ];
        self.documents.update_one(doc! { "_id": id }, pipeline).await?;
        Ok(())
    }
}

fn outgoing(entry: &OutboxEntry) -> Outgoing<'_> {
    Outgoing {
        id: &entry.id,
        subject: &entry.subject,
        time: entry.time,
        data: &entry.data,
        traceparent: entry.traceparent.as_deref(),
    }
}
