//! The transactional outbox, embedded: an event is pushed onto its aggregate's own document by the very
//! update that changes it, and a relay (`relay.rs`) publishes it until JetStream has acknowledged it.
//!
//! Dying anywhere in between loses nothing: what is on the document is published again, under the same
//! id, which JetStream and every listener recognise.

use std::marker::PhantomData;
use std::sync::Arc;

use bson::{Bson, Document, doc};
use mongodb::{Collection, Database, IndexModel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::requests;
use crate::clock::{Clock, Time};
use crate::events::Event;
use crate::idempotency::{Created, Key};
use crate::mongo;
use crate::telemetry;

/// How often a decision is made anew because someone else was faster.
pub(super) const TRIES: usize = 32;

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
pub(super) struct Entry {
    pub id: String,
    pub subject: String,
    pub time: Time,
    pub data: String,
    pub traceparent: Option<String>,
}

/// The documents of one kind of aggregate, and the outbox that is embedded in them.
pub struct Aggregates<T> {
    pub(super) documents: Collection<Document>,
    pub(super) clock: Clock,
    pub(super) wake: Arc<Notify>,
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
}
