//! The transactional outbox, embedded: an event is pushed onto its aggregate's own document by the very
//! update that changes it, and a relay publishes it until JetStream has acknowledged it.
//!
//! Dying anywhere in between loses nothing: what is on the document is published again, under the same
//! id, which JetStream and every listener recognise.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bson::{Bson, Document, doc};
use futures::{StreamExt, TryStreamExt};
use mongodb::{Collection, Database, IndexModel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Bus, requests};
use crate::clock::{Clock, Time};
use crate::events::Event;
use crate::idempotency::{Created, Key};
use crate::mongo;
use crate::telemetry;

/// How often the relay looks for what a killed process left behind.
const SWEEP: Duration = Duration::from_secs(1);
/// How often the relay looks whether the streams are there: a broker may lose them without an error.
const LOOK: Duration = Duration::from_secs(5);
/// How often a decision is made anew because someone else was faster.
pub(super) const TRIES: usize = 32;
/// How many documents are relayed at once.
pub(super) const CONCURRENCY: usize = 16;
/// How many documents one look at the index takes.
const BATCH: i64 = 256;

/// A thing that is stored as one document, whose every change raises its version.
pub trait Aggregate: Serialize + DeserializeOwned + Unpin + Send + Sync + 'static {
    const COLLECTION: &'static str;
    fn id(&self) -> String;
    fn version(&self) -> i64;
    /// The events that tell its whole present state to those who have lost it; of one that has ended, too.
    fn retold(&self) -> Vec<Announcement>;
    /// After a restore: raises its version, and whatever number of its own others compare by, beyond all
    /// that they were told. Numbers of others', which it follows, stay.
    fn raise(&mut self, by: i64);
}

/// An event that is to be published with the change that it tells of.
#[derive(Clone, Debug)]
pub struct Announcement {
    id: String,
    subject: &'static str,
    data: String,
}

impl Announcement {
    pub fn of<E: Event>(event: &E) -> Self {
        // Our events are structs of strings and numbers: they have no way to fail here.
        let data = serde_json::to_string(event).unwrap_or_default();
        Announcement { id: event.id(), subject: E::SUBJECT, data }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn subject(&self) -> &'static str {
        self.subject
    }

    /// The same, under an id of its own.
    pub(super) fn again(mut self, mark: &str) -> Self {
        self.id = format!("{}:{mark}", self.id);
        self
    }

    /// The event as JSON: the body of the message.
    pub fn data(&self) -> &str {
        &self.data
    }
}

/// A decision: the thing as it is to be, and the events that tell of the change.
#[derive(Clone, Debug)]
pub struct Change<T> {
    pub thing: T,
    pub events: Vec<Announcement>,
}

impl<T> Change<T> {
    /// A change that one event tells.
    pub fn told<E: Event>(thing: T, event: &E) -> Self {
        Change { thing, events: vec![Announcement::of(event)] }
    }

    /// A change that concerns nobody else.
    pub fn untold(thing: T) -> Self {
        Change { thing, events: Vec::new() }
    }
}

/// Others changed the thing faster than we could decide, again and again.
#[derive(Debug, thiserror::Error)]
#[error("the document changed under us again and again")]
pub struct Contended;

/// An announcement as it waits on its document.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    id: String,
    subject: String,
    time: Time,
    data: String,
    traceparent: Option<String>,
}

/// The documents of one kind of aggregate, and the outbox that is embedded in them.
pub struct Aggregates<T> {
    pub(super) documents: Collection<Document>,
    pub(super) clock: Clock,
    wake: Arc<Notify>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Aggregates<T> {
    fn clone(&self) -> Self {
        Aggregates {
            documents: self.documents.clone(),
            clock: self.clock.clone(),
            wake: Arc::clone(&self.wake),
            kind: PhantomData,
        }
    }
}

impl<T: Aggregate> Aggregates<T> {
    /// Opens the collection and makes its indexes, the outbox's and the requests' among them.
    pub async fn open(
        database: &Database,
        clock: Clock,
        indexes: impl IntoIterator<Item = IndexModel>,
    ) -> mongodb::error::Result<Self> {
        let documents = database.collection::<Document>(T::COLLECTION);
        let outbox = mongo::partial_index(
            "outbox",
            doc! { "outboxPending": 1 },
            doc! { "outboxPending": true },
        );
        documents.create_indexes([outbox, requests::index()].into_iter().chain(indexes)).await?;
        Ok(Aggregates { documents, clock, wake: Arc::default(), kind: PhantomData })
    }

    /// The collection, for the queries that are a store's own. What it reads has no outbox.
    pub fn collection(&self) -> Collection<T> {
        self.documents.clone_with_type()
    }

    pub async fn get(&self, id: impl ToString) -> mongodb::error::Result<Option<T>> {
        self.collection().find_one(doc! { "_id": id.to_string() }).await
    }

    /// Stores a new aggregate with the events that tell of it.
    pub async fn insert(&self, thing: &T, events: &[Announcement]) -> mongodb::error::Result<()> {
        self.insert_with(thing, events, doc! {}).await
    }

    /// As [`Aggregates::insert`], for a request that may come again (see [`Aggregates::once`]): the
    /// document remembers it and its answer.
    pub async fn insert_for(
        &self,
        key: &Key,
        answer: &Created,
        thing: &T,
        events: &[Announcement],
    ) -> mongodb::error::Result<()> {
        let mut beside = doc! {};
        if key.is_given() {
            let request = key.remember(answer, self.clock.now());
            beside.insert("requests", [mongo::document(&request)?]);
        }
        self.insert_with(thing, events, beside).await
    }

    async fn insert_with(
        &self,
        thing: &T,
        events: &[Announcement],
        beside: Document,
    ) -> mongodb::error::Result<()> {
        let mut document = mongo::document(thing)?;
        document.extend(beside);
        document.insert("outbox", self.entries(events)?);
        document.insert("outboxPending", !events.is_empty());
        document.insert("changedAt", self.clock.now());
        self.documents.insert_one(document).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Replaces the aggregate, if it is still at the version that the change was decided on, together
    /// with the events that tell of the change. False: someone else was faster; decide again.
    pub async fn replace(
        &self,
        decided_on: i64,
        thing: &T,
        events: &[Announcement],
    ) -> mongodb::error::Result<bool> {
        debug_assert!(thing.version() > decided_on, "a change raises the version");
        let mut fields = mongo::document(thing)?;
        fields.remove("_id");
        let filter = doc! { "_id": thing.id(), "version": decided_on };
        self.write(filter, fields, doc! {}, events).await
    }

    /// Writes the thing's fields, what stands beside them, and events onto the document that the filter
    /// finds. False: there is none.
    pub(super) async fn write(
        &self,
        filter: Document,
        mut fields: Document,
        beside: Document,
        events: &[Announcement],
    ) -> mongodb::error::Result<bool> {
        let mut update = doc! {};
        if !fields.is_empty() {
            fields.insert("changedAt", self.clock.now());
        }
        fields.extend(beside);
        if !events.is_empty() {
            fields.insert("outboxPending", true);
            update.insert("$push", doc! { "outbox": { "$each": self.entries(events)? } });
        }
        update.insert("$set", fields);
        let result = self.documents.update_one(filter, update).await?;
        self.wake.notify_one();
        Ok(result.matched_count == 1)
    }

    /// Reads, decides and writes until nobody was faster in between. `decide` is pure: it gets the thing
    /// as it is and says what it becomes, or that it stays. Answers with the thing as it is then; none
    /// if there is no such thing.
    pub async fn change<E>(
        &self,
        id: impl ToString,
        mut decide: impl FnMut(&T) -> Result<Option<Change<T>>, E>,
    ) -> Result<Option<T>, E>
    where
        E: From<mongodb::error::Error> + From<Contended>,
    {
        let id = id.to_string();
        for _ in 0..TRIES {
            let Some(thing) = self.get(&id).await? else { return Ok(None) };
            let Some(change) = decide(&thing)? else { return Ok(Some(thing)) };
            if self.replace(thing.version(), &change.thing, &change.events).await? {
                return Ok(Some(change.thing));
            }
        }
        Err(Contended.into())
    }

    /// As [`Aggregates::change`], for a thing that may not be there yet: then `first`, which nobody needs
    /// to be told of, is stored. Of two who store it at once, the second changes it.
    pub async fn change_or_insert<E>(
        &self,
        first: &T,
        mut decide: impl FnMut(&T) -> Result<Option<Change<T>>, E>,
    ) -> Result<T, E>
    where
        T: Clone,
        E: From<mongodb::error::Error> + From<Contended>,
    {
        for _ in 0..TRIES {
            if let Some(thing) = self.change(first.id(), &mut decide).await? {
                return Ok(thing);
            }
            match self.insert(first, &[]).await {
                Ok(()) => return Ok(first.clone()),
                Err(error) if mongo::duplicate_of(&error).is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Contended.into())
    }

    fn entries(&self, events: &[Announcement]) -> bson::error::Result<Vec<Bson>> {
        let time = self.clock.now();
        let traceparent = telemetry::traceparent();
        let entry = |event: &Announcement| {
            let entry = Entry {
                id: event.id.clone(),
                subject: event.subject.to_owned(),
                time,
                data: event.data.clone(),
                traceparent: traceparent.clone(),
            };
            mongo::document(&entry).map(Bson::Document)
        };
        events.iter().map(entry).collect()
    }

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
