//! The relay: publishes what the outboxes hold until JetStream has acknowledged it.

use std::time::Duration;

use bson::doc;
use bus::{Bus, Outgoing};
use common::Time;
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::documents::{Aggregate, Documents};
use crate::handoff::Written;
use crate::mongo;
use crate::outbox::{OutboxEntry, Pending};
use crate::relay_back_off::RelayBackOff;

/// How often the relay looks for what a killed process left behind.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it checks that the streams exist: a broker may lose them without an error.
const STREAM_CHECK: Duration = Duration::from_secs(5);
/// How often the outbox is measured.
const MEASUREMENT: Duration = Duration::from_secs(5);
/// How many pending documents are counted at most.
const MEASURED: i64 = 10_000;
/// How many documents' events are published concurrently.
const CONCURRENCY: usize = 64;
/// How many documents one query returns.
const BATCH: u16 = 256;

/// What the relay remembers from one pass to the next.
#[derive(Default)]
struct Relay {
    back_off: RelayBackOff,
    swept: Option<Instant>,
    streams_checked: Option<Instant>,
    measured: Option<Instant>,
    replay: Option<JoinHandle<()>>,
    reminding: Option<JoinHandle<()>>,
}

impl<T: Aggregate> Documents<T> {
    /// Publishes events, at once when this process writes some, and every second what else is pending, until `stop` is
    /// cancelled; then once more. Beside that it reminds of what is unanswered.
    pub async fn relay(self, bus: Bus, stop: CancellationToken) {
        let mut relay = Relay::default();
        loop {
            self.relay_once(&mut relay, &bus, &stop).await;
            if stop.is_cancelled() {
                break;
            }
            let next = relay.swept.map_or_else(Instant::now, |swept| swept + SWEEP);
            tokio::select! {
                () = self.handoff.arrival() => {}
                () = tokio::time::sleep_until(next) => {}
                () = stop.cancelled() => {}
            }
        }
        for task in [relay.replay, relay.reminding].into_iter().flatten() {
            // It has the same token, and completes the write that it has begun.
            drop(task.await);
        }
    }

    async fn relay_once(&self, relay: &mut Relay, bus: &Bus, stop: &CancellationToken) {
        let is_due =
            |last: Option<Instant>, period| last.is_none_or(|last| last.elapsed() > period);
        let is_idle =
            |task: &Option<JoinHandle<()>>| task.as_ref().is_none_or(JoinHandle::is_finished);
        if is_due(relay.streams_checked, STREAM_CHECK) {
            match bus.ensure_streams().await {
                Ok(()) => {
                    relay.streams_checked = Some(Instant::now());
                    if is_idle(&relay.replay) {
                        relay.replay = Some(self.spawn_replay(bus, stop));
                    }
                }
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "JetStream streams unavailable, retrying"
                ),
            }
        }
        if T::OBLIGES && is_idle(&relay.reminding) {
            relay.reminding = Some(self.spawn_reminding(relay.reminding.is_none(), stop));
        }
        if is_due(relay.measured, MEASUREMENT) {
            relay.measured = Some(Instant::now());
            if let Err(error) = self.measure_outbox().await {
                tracing::warn!(collection = T::COLLECTION, %error, "could not measure the outbox");
            }
        }
        let Written { new, must_read } = self.handoff.take();
        let must_read = must_read || stop.is_cancelled() || is_due(relay.swept, SWEEP);
        let relayed = if must_read {
            // What is new is read with the rest.
            relay.swept = Some(Instant::now());
            self.relay_pending(bus, &mut relay.back_off, None).await
        } else {
            let relayed = self.publish_all(bus, &mut relay.back_off, new).await;
            relayed.and_then(|failure| failure.map_or(Ok(()), Err))
        };
        if let Err(error) = relayed {
            // The streams may be missing: a wiped broker has none.
            relay.streams_checked = None;
            metrics::counter!("outbox_relay_failures_total", "collection" => T::COLLECTION)
                .increment(1);
            tracing::warn!(
                collection = T::COLLECTION,
                error = format!("{error:#}"),
                "could not publish, events stay in the outbox"
            );
        }
    }

    /// Publishes again what is unanswered, beside the relay.
    fn spawn_reminding(&self, is_first: bool, stop: &CancellationToken) -> JoinHandle<()> {
        let (documents, stop) = (self.clone(), stop.clone());
        tokio::spawn(async move {
            let reminded = async {
                if is_first {
                    documents.adopt_obligations().await?;
                }
                documents.remind(&stop).await
            };
            if let Err(error) = reminded.await {
                tracing::warn!(collection = T::COLLECTION, %error, "could not remind, will retry");
            }
        })
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

    /// Publishes what is pending now, beside other relays. (On a busy service something always is.)
    pub async fn relay_all(&self, bus: &Bus, timeout: Duration) -> anyhow::Result<()> {
        const PAUSE: Duration = Duration::from_millis(500);
        let (deadline, until) = (Instant::now() + timeout, Some(self.clock.now()));
        loop {
            let relayed = async {
                bus.ensure_streams().await?;
                // Every failure is reported: nothing pauses.
                self.relay_pending(bus, &mut RelayBackOff::default(), until).await
            };
            match relayed.await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Publishes until nothing from before this time is left but documents that pause after a failure. Fails if something
    /// failed.
    async fn relay_pending(
        &self,
        bus: &Bus,
        back_off: &mut RelayBackOff,
        until: Option<Time>,
    ) -> anyhow::Result<()> {
        let mut failure = None;
        loop {
            // Those that haven't failed come first, however many others fail.
            let mut pending = self.pending(until, &back_off.failing()).await?;
            if pending.is_empty() {
                pending = self.pending(until, &back_off.paused()).await?;
            }
            if pending.is_empty() {
                return failure.map_or(Ok(()), Err);
            }
            let is_last = pending.len() < usize::from(BATCH);
            failure = self.publish_all(bus, back_off, pending).await?.or(failure);
            if back_off.is_outage() || is_last && back_off.failing().is_empty() {
                return failure.map_or(Ok(()), Err);
            }
        }
    }

    /// Publishes the events of these documents, and removes them from their outboxes. Returns one of the failures; all
    /// others were published, unless nothing at all could be.
    async fn publish_all(
        &self,
        bus: &Bus,
        back_off: &mut RelayBackOff,
        pending: Vec<Pending>,
    ) -> anyhow::Result<Option<anyhow::Error>> {
        if pending.is_empty() {
            return Ok(None);
        }
        anyhow::ensure!(bus.is_connected(), "NATS is disconnected");
        let mut outcomes = futures::stream::iter(pending)
            .map(|document| async move {
                let outcome = publish(bus, &document).await;
                (document, outcome)
            })
            .buffer_unordered(CONCURRENCY);
        let (mut published, mut failed, mut failure) = (Vec::new(), 0_usize, None);
        while let Some((document, outcome)) = outcomes.next().await {
            match outcome {
                Ok(()) => {
                    back_off.published(&document.id);
                    published.push(document);
                }
                Err(error) => {
                    back_off.failed(&document.id);
                    failed += 1;
                    failure = Some(error.context(document.id));
                }
            }
            if published.is_empty() && failed >= CONCURRENCY {
                break;
            }
        }
        if published.is_empty() {
            back_off.outage();
        } else {
            self.remove(&published).await?;
        }
        Ok(failure)
    }

    /// Documents with events to publish from before this time, without these.
    async fn pending(&self, until: Option<Time>, without: &[&str]) -> anyhow::Result<Vec<Pending>> {
        let mut filter = doc! { "outboxPending": true };
        if let Some(until) = until {
            filter.insert("outbox.time", doc! { "$lte": until });
        }
        if !without.is_empty() {
            filter.insert("_id", doc! { "$nin": without });
        }
        let documents = self.documents.clone_with_type::<Pending>();
        let pending = documents.find(filter).projection(doc! { "outbox": 1 });
        let pending = pending.read_concern(mongo::majority()).limit(BATCH.into()).await?;
        Ok(pending.try_collect().await?)
    }

    /// Counts the documents with events to publish, and how long the oldest of those has waited. Every replica reports
    /// the same, as they share the collection.
    async fn measure_outbox(&self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Waiting {
            count: i64,
            since: Time,
        }
        let pipeline = [
            doc! { "$match": { "outboxPending": true } },
            doc! { "$limit": MEASURED },
            doc! { "$group": {
                "_id": null,
                "count": { "$sum": 1_i64 },
                "since": { "$min": { "$first": "$outbox.time" } },
            } },
        ];
        let mut waiting = self.documents.aggregate(pipeline).with_type::<Waiting>().await?;
        let (count, age) = match waiting.try_next().await? {
            Some(Waiting { count, since }) => (count, since.until(self.clock.now())),
            None => (0, Duration::ZERO),
        };
        metrics::gauge!("outbox_pending", "collection" => T::COLLECTION)
            .set(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("outbox_oldest_seconds", "collection" => T::COLLECTION).set(age);
        Ok(())
    }

    /// Removes exactly what was published, of all these documents by one command, and computes each one's flag from what
    /// remains: an event that was pushed meanwhile stays, and keeps its document pending.
    async fn remove(&self, published: &[Pending]) -> mongodb::error::Result<()> {
        let documents: Vec<&str> = published.iter().map(|document| document.id.as_str()).collect();
        let entries = published.iter().flat_map(|document| &document.outbox);
        let entries: Vec<&str> = entries.map(|entry| entry.id.as_str()).collect();
        let remaining = doc! { "$filter": {
            "input": "$outbox",
            "cond": { "$not": [{ "$in": ["$$this.id", entries] }] },
        } };
        let pipeline = vec![
            doc! { "$set": { "outbox": remaining } },
            doc! { "$set": { "outboxPending": { "$gt": [{ "$size": "$outbox" }, 0] } } },
        ];
        self.documents.update_many(doc! { "_id": { "$in": documents } }, pipeline).await?;
        Ok(())
    }
}

/// The events of one document are published in order.
async fn publish(bus: &Bus, document: &Pending) -> anyhow::Result<()> {
    for entry in &document.outbox {
        bus.publish(outgoing(entry)).await?;
    }
    Ok(())
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
