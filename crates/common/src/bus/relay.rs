//! The relay: publishes what waits in the outboxes until JetStream has acknowledged it.

use std::time::Duration;

use async_nats::HeaderMap;
use bson::doc;
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Bus;
use super::outbox::{Aggregate, Aggregates, Entry};
use crate::mongo;

/// How often the relay looks for what a killed process left behind.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it looks whether the streams are there: a broker may lose them without an error.
const LOOK: Duration = Duration::from_secs(5);
/// How many documents are relayed at once.
pub(super) const CONCURRENCY: usize = 16;
/// How many documents one look at the index takes.
const BATCH: i64 = 256;

impl<T: Aggregate> Aggregates<T> {
    /// Publishes what waits, at once when something is written here and in any case every second, until
    /// it is told to stop; then once more.
    pub async fn relay(self, bus: Bus, stop: CancellationToken) {
        let mut looked: Option<Instant> = None;
        let mut telling: Option<JoinHandle<()>> = None;
        loop {
            if looked.is_none_or(|looked| looked.elapsed() > LOOK) {
                match bus.ensure_streams().await {
                    Ok(()) => {
                        looked = Some(Instant::now());
                        if telling.as_ref().is_none_or(JoinHandle::is_finished) {
                            telling = Some(self.tell_anew(&bus, &stop));
                        }
                    }
                    Err(error) => tracing::warn!(
                        error = format!("{error:#}"),
                        "streams are not to be had yet"
                    ),
                }
            }
            match self.relay_pending(&bus).await {
                Ok(()) => {}
                Err(error) => {
                    // The streams may be what is missing: a wiped broker has none.
                    looked = None;
                    metrics::counter!("outbox_relay_failures_total", "collection" => T::COLLECTION)
                        .increment(1);
                    tracing::warn!(
                        collection = T::COLLECTION,
                        error = format!("{error:#}"),
                        "events wait to be published"
                    );
                }
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
        if let Some(telling) = telling {
            // It was told to stop too, and ends what it was writing.
            drop(telling.await);
        }
    }

    /// Tells the streams that had to be made anew, beside the relay, which goes on.
    fn tell_anew(&self, bus: &Bus, stop: &CancellationToken) -> JoinHandle<()> {
        let (things, bus, stop) = (self.clone(), bus.clone(), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = things.tell_new_streams(&bus, &stop).await {
                let error = format!("{error:#}");
                tracing::warn!(
                    collection = T::COLLECTION,
                    error,
                    "not all was told to a new stream"
                );
            }
        })
    }

    pub(super) async fn relay_pending(&self, bus: &Bus) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Waiting {
            #[serde(rename = "_id")]
            id: String,
            outbox: Vec<Entry>,
        }
        loop {
            let waiting: Vec<Waiting> = self
                .documents
                .clone_with_type::<Waiting>()
                .find(doc! { "outboxPending": true })
                .projection(doc! { "outbox": 1 })
                .read_concern(mongo::majority())
                .limit(BATCH)
                .await?
                .try_collect()
                .await?;
            metrics::gauge!("outbox_pending", "collection" => T::COLLECTION)
                .set(u32::try_from(waiting.len()).unwrap_or(u32::MAX));
            if waiting.is_empty() {
                return Ok(());
            }
            // One document's events go out in order, one after the other; documents don't wait for each other.
            futures::stream::iter(waiting)
                .map(|document| async move {
                    for entry in &document.outbox {
                        publish(bus, entry).await?;
                    }
                    let published =
                        document.outbox.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>();
                    self.pull(&document.id, &published).await?;
                    anyhow::Ok(())
                })
                .buffer_unordered(CONCURRENCY)
                .try_collect::<Vec<()>>()
                .await?;
        }
    }

    /// Takes exactly what was published off the document, and computes the flag from what remains: an
    /// event that was pushed meanwhile stays, and keeps the document pending.
    async fn pull(&self, id: &str, published: &[&str]) -> mongodb::error::Result<()> {
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

/// CloudEvents 1.0, binary mode: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md>
async fn publish(bus: &Bus, entry: &Entry) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", entry.id.as_str());
    headers.insert("ce-type", entry.subject.as_str());
    headers.insert("ce-source", format!("/services/{}", bus.service()));
    headers.insert("ce-time", entry.time.to_string());
    if let Some(subject) = entry.id.split(':').nth(1) {
        headers.insert("ce-subject", subject);
    }
    headers.insert("content-type", "application/json");
    if let Some(traceparent) = &entry.traceparent {
        headers.insert("traceparent", traceparent.as_str());
    }
    bus.publish(&entry.subject, &entry.id, headers, entry.data.clone()).await?;
    metrics::counter!("events_published_total", "subject" => entry.subject.clone()).increment(1);
    tracing::debug!(event = entry.id, "published");
    Ok(())
}
