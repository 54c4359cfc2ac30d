//! Aggregates as versioned documents: load, decide, save with events. Optimistic concurrency by version; the events go
//! into the document's own outbox by the same write.

use std::marker::PhantomData;
use std::sync::Arc;

use bson::{Bson, Document, doc};
use common::Clock;
use common::events::{Event, Subject};
use futures::TryStreamExt;
use httpkit::idempotency::RequestIdentity;
use mongodb::{Database, IndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bulk;
use crate::error::{ConflictError, Error, Result};
use crate::group_commit::GroupCommit;
use crate::handoff::Handoff;
use crate::history::{self, History};
use crate::mongo;
use crate::obligation_fields;
use crate::outbox::{OutboxEntry, OutboxMessage};
use crate::stored_request::{self, StoredRequest, StoredResponse};
use crate::timed_collection::TimedCollection;
use crate::trace_fields;

/// How often a change is decided again because another writer was faster.
pub(crate) const MAX_ATTEMPTS: usize = 32;

/// An object that is stored as one document, and whose every change increments its version.
///
/// What is absent must be serialised as null: a change sets the fields that the object has now, and an omitted one would
/// keep its old value.
pub trait Aggregate: Serialize + DeserializeOwned + Unpin + Send + Sync + 'static {
    /// The collection's name.
    const COLLECTION: &'static str;
    /// The document's `_id`.
    fn id(&self) -> String;
    /// The document's version.
    fn version(&self) -> i64;
    /// Whether it contains a value that this version doesn't know: a later version has written it, and decides about it.
    fn has_unknown_value(&self) -> bool;
    /// Whether it ever obliges another service ([`Aggregate::unanswered`]).
    const OBLIGES: bool = false;
    /// Whether a background task works on it because of its changes ([`Documents::traces`]).
    const IS_WORKED_ON: bool = false;
    /// Whether what has happened to it is kept on its document ([`Documents::history`]).
    const KEEPS_HISTORY: bool = false;
    /// What the name of an event that describes a change to this state doesn't say, for the history: such as why an order has
    /// ended.
    fn detail(&self, _event: Subject) -> Option<&'static str> {
        None
    }
    /// The event by which it obliges another service, as long as that hasn't answered; it is republished until then.
    fn unanswered(&self) -> Option<OutboxMessage> {
        None
    }
    /// The events that describe its current state, for consumers that have lost it; also of one that has ended.
    fn snapshot_events(&self) -> Vec<OutboxMessage>;
    /// After a restore: raises its version, and every other number of its own that consumers compare, beyond all that
    /// was published before. Numbers of other aggregates, which it follows, stay.
    fn bump_version(&mut self, by: i64);
}

/// A decision: the object as it is to be, and the events that describe the change.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// The object after the change.
    pub thing: T,
    /// The events to publish.
    pub events: Vec<OutboxMessage>,
}

impl<T> Change<T> {
    /// A change that one event describes.
    pub fn with_event<E: Event>(thing: T, event: &E) -> Self {
        Change { thing, events: vec![OutboxMessage::of(event)] }
    }

    /// A change that no other service needs to know.
    pub fn without_event(thing: T) -> Self {
        Change { thing, events: Vec::new() }
    }
}

/// The documents of one kind of aggregate, and the outbox that is embedded in them.
pub struct Documents<T> {
    pub(crate) documents: TimedCollection<Document>,
    pub(crate) clock: Clock,
    pub(crate) handoff: Arc<Handoff>,
    commits: GroupCommit,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Documents<T> {
    fn clone(&self) -> Self {
        Documents {
            documents: self.documents.clone(),
            clock: self.clock.clone(),
            handoff: Arc::clone(&self.handoff),
            commits: self.commits.clone(),
            kind: PhantomData,
        }
    }
}

impl<T: Aggregate> Documents<T> {
    /// Opens the collection and creates its indexes, those of the outbox and of requests included.
    pub async fn open(
        database: &Database,
        clock: Clock,
        indexes: impl IntoIterator<Item = IndexModel>,
    ) -> Result<Self> {
        let documents = TimedCollection::<Document>::new(database, T::COLLECTION);
        let outbox = mongo::partial_index(
            "outbox",
            doc! { "outboxPending": 1 },
            doc! { "outboxPending": true },
        );
        let own = [outbox, obligation_fields::index(), stored_request::index()];
        let indexes: Vec<_> = own.into_iter().chain(indexes).collect();
        mongo::when_available(|| async {
            documents.create_indexes(indexes.clone()).await?;
            Ok(())
        })
        .await?;
        let commits = GroupCommit::start(&documents);
        Ok(Documents { documents, clock, handoff: Arc::default(), commits, kind: PhantomData })
    }

    /// The same documents for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        let documents = self.documents.in_background(database);
        Documents { commits: GroupCommit::start(&documents), documents, ..self.clone() }
    }

    /// The collection, for the queries of a service's store. What it reads has no outbox.
    pub fn collection(&self) -> TimedCollection<T> {
        self.documents.clone_with_type()
    }

    /// The object of this id, to decide on it: an error if it contains a value that this version doesn't know.
    pub async fn get(&self, id: impl ToString) -> Result<Option<T>> {
        let id = id.to_string();
        match self.collection().find_one(doc! { "_id": &id }).await? {
            Some(thing) if thing.has_unknown_value() => Err(Error::LaterVersion(id)),
            found => Ok(found),
        }
    }

    /// The objects of these ids that exist, as [`Documents::get`] returns one.
    pub async fn get_all<I: ToString>(&self, ids: impl Iterator<Item = I>) -> Result<Vec<T>> {
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.collection().find(doc! { "_id": { "$in": ids } }).await?;
        let found: Vec<T> = found.try_collect().await?;
        match found.iter().find(|thing| thing.has_unknown_value()) {
            Some(later) => Err(Error::LaterVersion(later.id())),
            None => Ok(found),
        }
    }

    /// Stores a new object with the events that describe it.
    pub async fn insert(&self, thing: &T, events: &[OutboxMessage]) -> Result<()> {
        self.insert_with(thing, events, doc! {}).await
    }

    /// As [`Documents::insert`], for a request that may be repeated (see [`Documents::run_once`]): the document stores
    /// the request and its response.
    pub async fn insert_for(
        &self,
        request: &RequestIdentity,
        response: &StoredResponse,
        thing: &T,
        events: &[OutboxMessage],
    ) -> Result<()> {
        let mut beside = doc! {};
        if request.has_key() {
            let stored = StoredRequest::of(request, response, self.clock.now());
            beside.insert("requests", [mongo::document(&stored)?]);
        }
        self.insert_with(thing, events, beside).await
    }

    async fn insert_with(
        &self,
        thing: &T,
        events: &[OutboxMessage],
        beside: Document,
    ) -> Result<()> {
        let entries = self.entries(events);
        let mut document = self.document(thing, &entries)?;
        document.extend(beside);
        self.commits.insert(document).await?;
        self.handoff.put(thing.id(), entries);
        Ok(())
    }

    /// A new object as it is stored.
    fn document(&self, thing: &T, events: &[OutboxEntry]) -> bson::error::Result<Document> {
        let mut document = mongo::document(thing)?;
        document.insert("outbox", bson_of(events)?);
        document.insert("outboxPending", !events.is_empty());
        let history = Self::history_of(thing, events)?;
        if !history.is_empty() {
            document.insert(history::FIELD, history);
        }
        document.extend(obligation_fields::fields(thing.unanswered().is_some(), self.clock.now()));
        document.insert("changedAt", self.clock.now());
        document.extend(trace_fields::fields(T::IS_WORKED_ON));
        Ok(document)
    }

    /// Stores new objects with their events by one command. Returns those that weren't written, because one with their id
    /// exists.
    pub async fn insert_all(&self, new: Vec<Change<T>>) -> Result<Vec<Change<T>>> {
        if new.is_empty() {
            return Ok(new);
        }
        let entries: Vec<Vec<OutboxEntry>> =
            new.iter().map(|change| self.entries(&change.events)).collect();
        let documents = new.iter().zip(&entries);
        let documents = documents.map(|(change, entries)| self.document(&change.thing, entries));
        let documents = documents.collect::<bson::error::Result<Vec<_>>>()?;
        let refused = match self.documents.insert_many(documents).ordered(false).await {
            Ok(_) => Vec::new(),
            Err(error) => bulk::duplicates_of(error)?,
        };
        let mut existing = Vec::new();
        for (index, (change, entries)) in new.into_iter().zip(entries).enumerate() {
            if refused.contains(&index) {
                existing.push(change);
            } else {
                self.handoff.put(change.thing.id(), entries);
            }
        }
        Ok(existing)
    }

    /// Replaces the object, if it is still at the version that the change was decided on, together with the events that
    /// describe the change. False: another writer was faster; decide again.
    pub async fn replace(
        &self,
        decided_on: i64,
        thing: &T,
        events: &[OutboxMessage],
    ) -> Result<bool> {
        self.replace_where(decided_on, doc! {}, thing, doc! {}, events).await
    }

    /// As [`Documents::replace`], if the document also matches `condition`; sets fields that aren't part of the object, too.
    pub async fn replace_where(
        &self,
        decided_on: i64,
        condition: Document,
        thing: &T,
        mut beside: Document,
        events: &[OutboxMessage],
    ) -> Result<bool> {
        debug_assert!(thing.version() > decided_on, "a change increments the version");
        let mut fields = mongo::document(thing)?;
        fields.remove("_id");
        let mut filter = condition;
        filter.extend(doc! { "_id": thing.id(), "version": decided_on });
        beside.extend(obligation_fields::fields(thing.unanswered().is_some(), self.clock.now()));
        let entries = self.entries(events);
        let history = Self::history_of(thing, &entries)?;
        self.write_with(filter, fields, beside, &entries, history).await
    }

    /// Sets fields of an object in a new version, if it matches `condition`: a decision that a filter can make reads nothing.
    /// For changes without an event that oblige nobody. False: it doesn't match, or doesn't exist.
    pub async fn update_where(
        &self,
        id: impl ToString,
        condition: Document,
        fields: Document,
    ) -> Result<bool> {
        let mut filter = condition;
        filter.insert("_id", id.to_string());
        let update = self.in_new_version(fields);
        self.commits.update(filter, update).await
    }

    /// As [`Documents::update_where`], of several objects by one command, each with its own condition and fields. Returns
    /// whether all of them match.
    pub async fn update_each_where(
        &self,
        updates: impl IntoIterator<Item = (String, Document, Document)>,
    ) -> Result<bool> {
        let updates = updates.into_iter().map(|(id, mut filter, fields)| {
            filter.insert("_id", id);
            doc! { "q": filter, "u": self.in_new_version(fields) }
        });
        let updates: Vec<Document> = updates.collect();
        let count = updates.len();
        Ok(bulk::update(&self.documents, updates).await?.documents == count)
    }

    /// Sets fields that are computed from the object, of several objects by one command, each with its own condition: none
    /// gets a new version.
    pub async fn set_each_where(
        &self,
        updates: impl IntoIterator<Item = (String, Document, Document)>,
    ) -> Result<()> {
        let updates = updates.into_iter().map(|(id, mut filter, fields)| {
            filter.insert("_id", id);
            doc! { "q": filter, "u": { "$set": fields } }
        });
        bulk::update(&self.documents, updates.collect()).await?;
        Ok(())
    }

    /// As [`Documents::update_where`], of several objects by one command. Returns how many match.
    pub async fn update_all_where(
        &self,
        ids: &[impl ToString],
        condition: Document,
        fields: Document,
    ) -> Result<u64> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut filter = condition;
        filter.insert("_id", doc! { "$in": ids });
        let update = self.in_new_version(fields);
        Ok(self.documents.update_many(filter, update).await?.matched_count)
    }

    fn in_new_version(&self, mut fields: Document) -> Document {
        fields.insert("changedAt", self.clock.now());
        fields.extend(trace_fields::fields(T::IS_WORKED_ON));
        doc! { "$set": fields, "$inc": { "version": 1_i64 } }
    }

    /// Writes the object's fields, further fields, and events onto the document that the filter matches: nothing happens to
    /// the object itself. False: none matches.
    pub(crate) async fn write(
        &self,
        filter: Document,
        fields: Document,
        beside: Document,
        events: &[OutboxMessage],
    ) -> Result<bool> {
        self.write_with(filter, fields, beside, &self.entries(events), Vec::new()).await
    }

    async fn write_with(
        &self,
        filter: Document,
        mut fields: Document,
        beside: Document,
        events: &[OutboxEntry],
        history: Vec<Bson>,
    ) -> Result<bool> {
        let mut push = doc! {};
        if !fields.is_empty() {
            fields.insert("changedAt", self.clock.now());
            fields.extend(trace_fields::fields(T::IS_WORKED_ON));
        }
        fields.extend(beside);
        if !events.is_empty() {
            fields.insert("outboxPending", true);
            push.insert("outbox", doc! { "$each": bson_of(events)? });
        }
        if !history.is_empty() {
            push.insert(history::FIELD, history::push(history));
        }
        let mut update = doc! { "$set": fields };
        if !push.is_empty() {
            update.insert("$push", push);
        }
        let matches = self.commits.update(filter, update).await?;
        if matches && !events.is_empty() {
            self.handoff.announce_change();
        }
        Ok(matches)
    }

    /// Loads, decides and saves, again if another writer was faster. `decide` is pure: it gets the object as it is, and
    /// returns what it becomes, or none if it stays. Returns the object after that; none if it doesn't exist.
    pub async fn change<E>(
        &self,
        id: impl ToString,
        mut decide: impl FnMut(&T) -> Result<Option<Change<T>>, E>,
    ) -> Result<Option<T>, E>
    where
        E: From<Error>,
    {
        let id = id.to_string();
        for _ in 0..MAX_ATTEMPTS {
            let Some(thing) = self.get(&id).await? else { return Ok(None) };
            let Some(change) = decide(&thing)? else { return Ok(Some(thing)) };
            if self.replace(thing.version(), &change.thing, &change.events).await? {
                return Ok(Some(change.thing));
            }
        }
        Err(Error::from(ConflictError).into())
    }

    /// As [`Documents::change`], beginning with the object as it was last read: it is read again only if another writer was
    /// faster, or if that leaves nothing to change.
    pub async fn change_known<E>(
        &self,
        known: &T,
        mut decide: impl FnMut(&T) -> Result<Option<Change<T>>, E>,
    ) -> Result<Option<T>, E>
    where
        E: From<Error>,
    {
        if let Ok(Some(change)) = decide(known)
            && self.replace(known.version(), &change.thing, &change.events).await?
        {
            return Ok(Some(change.thing));
        }
        self.change(known.id(), decide).await
    }

    /// As [`Documents::change`], for an object that may not exist yet: then `first` is stored, without an event. Of two
    /// concurrent callers, the second changes what the first has stored.
    pub async fn change_or_insert<E>(
        &self,
        first: &T,
        decide: impl FnMut(&T) -> Result<Option<Change<T>>, E>,
    ) -> Result<T, E>
    where
        T: Clone,
        E: From<Error>,
    {
        self.change_or_insert_with(&Change::without_event(first.clone()), decide).await
    }

    /// As [`Documents::change`], for an object that may not exist yet: then `first` is stored, with its events.
    pub async fn change_or_insert_with<E>(
        &self,
        first: &Change<T>,
        mut decide: impl FnMut(&T) -> Result<Option<Change<T>>, E>,
    ) -> Result<T, E>
    where
        T: Clone,
        E: From<Error>,
    {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(thing) = self.change(first.thing.id(), &mut decide).await? {
                return Ok(thing);
            }
            if self.insert_if_new(first).await? {
                return Ok(first.thing.clone());
            }
        }
        Err(Error::from(ConflictError).into())
    }

    /// Stores a new object with its events. False: one with its id exists.
    pub async fn insert_if_new(&self, new: &Change<T>) -> Result<bool> {
        match self.insert(&new.thing, &new.events).await {
            Ok(()) => Ok(true),
            Err(error) if error.duplicate_of().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What has happened to the object of this id. Nothing is known of one that doesn't exist.
    pub async fn history(&self, id: impl ToString) -> Result<History> {
        let documents = self.documents.clone_with_type::<History>();
        let found = documents.find_one(doc! { "_id": id.to_string() });
        let found = found.projection(doc! { "_id": 0, history::FIELD: 1 }).await?;
        Ok(found.unwrap_or_default())
    }

    /// What a change to this state adds to the history.
    fn history_of(thing: &T, events: &[OutboxEntry]) -> bson::error::Result<Vec<Bson>> {
        if T::KEEPS_HISTORY {
            history::entries(events, |event| thing.detail(event))
        } else {
            Ok(Vec::new())
        }
    }

    fn entries(&self, events: &[OutboxMessage]) -> Vec<OutboxEntry> {
        let now = self.clock.now();
        events.iter().map(|event| event.to_entry(now)).collect()
    }
}

fn bson_of(entries: &[OutboxEntry]) -> bson::error::Result<Vec<Bson>> {
    entries.iter().map(OutboxEntry::to_bson).collect()
}
