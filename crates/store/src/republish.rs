//! Republishing: every document publishes its whole current state once more, for consumers that have lost it, or that
//! have seen newer versions than a restored database has.
//!
//! The events get ids of their own, so that JetStream doesn't discard them as duplicates, and carry the same versions as
//! before: a consumer that knows the state skips it.

use anyhow::Context as _;
use bson::{Document, doc};
use bus::Bus;
use common::Time;
use futures::{StreamExt, TryStreamExt};
use mongodb::options::ReturnDocument;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::documents::{Aggregate, Documents, MAX_ATTEMPTS};
use crate::error::{ConflictError, Error};
use crate::mongo;
use crate::outbox::OutboxMessage;
use crate::timed_collection::{SCAN, TimedCollection};

/// By how much the versions of a restored database grow: beyond any that it published before.
pub const RESTORE_VERSION_OFFSET: i64 = 1_000_000;
/// How many documents are republished concurrently.
const CONCURRENCY: usize = 16;
/// On a document: the run that has bumped its version after a restore.
const RESTORED_BY: &str = "restoredBy";
/// On a document: the mark of the last new stream to which it was republished.
const REPLAYED_TO: &str = "toldTo";

/// What is republished, and how.
#[derive(Clone, Debug)]
pub struct Republish {
    /// Distinguishes the ids of this run from all others.
    mark: String,
    since: Option<Time>,
    mode: Mode,
}

#[derive(Clone, Debug)]
enum Mode {
    /// Each document as it is, on every run.
    AsIs,
    /// Each document as it is, once under this mark: a run that was interrupted continues.
    Once,
    /// Each document in a bumped version, once by this run.
    Bumped { run: String },
}

impl Mode {
    /// What marks a document that is done.
    fn done(&self, mark: &str) -> Option<(&'static str, String)> {
        match self {
            Mode::AsIs => None,
            Mode::Once => Some((REPLAYED_TO, mark.to_owned())),
            Mode::Bumped { run } => Some((RESTORED_BY, run.clone())),
        }
    }
}

impl Republish {
    /// All documents, or those that changed since then (by the clock of their service).
    pub fn new(now: Time, since: Option<Time>) -> Self {
        Republish { mark: format!("republish-{}", now.millis()), since, mode: Mode::AsIs }
    }

    /// All documents of a database that was restored: `run` bumps the version of each once.
    pub fn restored(now: Time, run: String) -> Self {
        Republish { mode: Mode::Bumped { run }, ..Self::new(now, None) }
    }

    /// All documents, once, to a stream that was created at that time: every replica that notices it uses the same mark.
    pub fn to_new_stream(created_at: i128) -> Self {
        Republish { mark: format!("replay-{created_at}"), since: None, mode: Mode::Once }
    }

    /// The run that bumps the versions of a restored database.
    pub fn restore_run(&self) -> Option<&str> {
        match &self.mode {
            Mode::Bumped { run } => Some(run),
            Mode::AsIs | Mode::Once => None,
        }
    }

    /// The documents that are left to do.
    fn remaining(&self) -> Document {
        let done = self.mode.done(&self.mark);
        done.map_or_else(Document::new, |(field, mark)| doc! { field: { "$ne": mark } })
    }
}

/// How much was republished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Republished {
    /// Documents that have some events.
    pub documents: u64,
    /// Their events.
    pub events: u64,
}

impl<T: Aggregate> Documents<T> {
    /// Pushes the events of its current state onto every document's outbox; any relay publishes them from there.
    pub async fn republish(
        &self,
        republish: &Republish,
        mut progress: impl FnMut(Republished),
        stop: &CancellationToken,
    ) -> anyhow::Result<Republished> {
        #[derive(Deserialize)]
        struct Id {
            #[serde(rename = "_id")]
            id: String,
        }
        let mut filter = republish.remaining();
        if let Some(since) = republish.since {
            // A document from before there was such a field may have changed at any time.
            filter.insert("changedAt", doc! { "$not": { "$lt": since } });
        }
        let documents = self.documents.clone_with_type::<Id>();
        let ids = documents.find(filter);
        let ids = ids.projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 }).max_time(SCAN).await?;
        let mut total = Republished::default();
        let run = ids
            .take_until(stop.cancelled())
            .map(|id| async move { self.republish_one(&id?.id, republish).await })
            .buffer_unordered(CONCURRENCY);
        let mut run = std::pin::pin!(run);
        while let Some(events) = run.try_next().await? {
            // A document that says nothing to others is not republished.
            if events > 0 {
                total.documents += 1;
                total.events += events;
                progress(total);
            }
        }
        Ok(total)
    }

    /// Returns the number of events.
    async fn republish_one(&self, id: &str, republish: &Republish) -> anyhow::Result<u64> {
        for _ in 0..MAX_ATTEMPTS {
            let mut filter = republish.remaining();
            filter.insert("_id", id);
            let Some(mut thing) = self.collection().find_one(filter.clone()).await? else {
                return Ok(0);
            };
            filter.insert("version", thing.version());
            if thing.has_unknown_value() {
                return Err(Error::LaterVersion(id.to_owned()).into());
            }
            let mut fields = doc! {};
            if let Mode::Bumped { .. } = republish.mode {
                thing.bump_version(RESTORE_VERSION_OFFSET);
                fields = mongo::document(&thing)?;
                fields.remove("_id");
            }
            let events = thing.snapshot_events().into_iter();
            let events: Vec<OutboxMessage> =
                events.map(|event| event.republished(&republish.mark)).collect();
            if fields.is_empty() && events.is_empty() {
                return Ok(0);
            }
            let done = republish.mode.done(&republish.mark);
            let beside = done.map_or_else(Document::new, |(field, mark)| doc! { field: mark });
            if self.write(filter, fields, beside, &events).await? {
                return Ok(u64::try_from(events.len()).unwrap_or(u64::MAX));
            }
        }
        Err(ConflictError).context(id.to_owned())
    }

    /// Begins to bump the versions of a restored database, or continues an interrupted run. Returns the run's name, which
    /// marks the documents that are done.
    pub async fn begin_restore(&self) -> anyhow::Result<String> {
        let first = doc! { "$setOnInsert": { "run": Uuid::now_v7().to_string() } };
        let restores = self.restores();
        let run = restores.find_one_and_update(doc! { "_id": T::COLLECTION }, first);
        let run = run.upsert(true).return_document(ReturnDocument::After).await?;
        let run = run.context("the document of the restore is missing")?;
        Ok(run.get_str("run")?.to_owned())
    }

    /// All versions are bumped: the next run is another one.
    pub async fn end_restore(&self, run: &str) -> anyhow::Result<()> {
        self.restores().delete_one(doc! { "_id": T::COLLECTION, "run": run }).await?;
        Ok(())
    }

    fn restores(&self) -> TimedCollection<Document> {
        let database = self.documents.namespace().db;
        TimedCollection::new(&self.documents.client().database(&database), "restores")
    }

    /// Republishes everything to a stream that had to be recreated. At the first start there are no documents, and this does
    /// nothing.
    pub(crate) async fn replay_to_new_streams(
        &self,
        bus: &Bus,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        for stream in bus.streams_needing_replay(T::COLLECTION).await? {
            let republish = Republish::to_new_stream(stream.created_at);
            let Republished { documents, events } =
                self.republish(&republish, |_| {}, stop).await?;
            if stop.is_cancelled() {
                return Ok(());
            }
            bus.mark_replayed(&stream, T::COLLECTION, self.clock.now()).await?;
            if documents > 0 {
                metrics::counter!("republished_total", "collection" => T::COLLECTION)
                    .increment(documents);
                tracing::warn!(
                    stream = stream.name,
                    documents,
                    events,
                    "republished everything to a new stream"
                );
            }
        }
        Ok(())
    }
}
