//! Telling again: every document tells its whole present state once more, for those who have lost it, or
//! whose word about it is overtaken by a restore.
//!
//! What is told again has ids of its own, so that JetStream doesn't take it for a duplicate, and the same
//! versions as before: who knows it skips it.

use std::time::Duration;

use anyhow::Context as _;
use bson::{Document, doc};
use futures::{StreamExt, TryStreamExt};
use mongodb::Collection;
use mongodb::options::ReturnDocument;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::outbox::{Aggregate, Aggregates, Contended, TRIES};
use super::relay::CONCURRENCY;
use super::{Announcement, Bus};
use crate::clock::Time;
use crate::mongo;

/// By how much the versions of a restored database grow: it was never told of anything that new.
pub const RESTORED: i64 = 1_000_000;
/// On a document: the run that has raised it after a restore.
const RESTORED_BY: &str = "restoredBy";
/// On a document: the mark of the last new stream that it was told.
const TOLD_TO: &str = "toldTo";

/// What is told again, and as what.
#[derive(Clone, Debug)]
pub struct Retelling {
    /// Sets the ids of this telling apart from all others.
    mark: String,
    since: Option<Time>,
    each: Each,
}

/// How often each document is told, and as what.
#[derive(Clone, Debug)]
enum Each {
    /// As it is, whenever somebody wants it.
    AsItIs,
    /// As it is, once under this mark: a telling that was cut off goes on where it was.
    Once,
    /// Raised, once by this run.
    Raised { run: String },
}

impl Each {
    /// What a document bears that was told.
    fn done(&self, mark: &str) -> Option<(&'static str, String)> {
        match self {
            Each::AsItIs => None,
            Each::Once => Some((TOLD_TO, mark.to_owned())),
            Each::Raised { run } => Some((RESTORED_BY, run.clone())),
        }
    }
}

impl Retelling {
    /// Of all documents, or of those that changed since then (by the clock of their service).
    pub fn new(now: Time, since: Option<Time>) -> Self {
        Retelling { mark: format!("again-{}", now.millis()), since, each: Each::AsItIs }
    }

    /// Of all documents of a database that was restored: `run` raises each of them once.
    pub fn restored(now: Time, run: String) -> Self {
        Retelling { each: Each::Raised { run }, ..Self::new(now, None) }
    }

    /// Of all documents, once, to a stream that was made anew at that moment. Whoever notices it says the same.
    pub fn to_a_new_stream(made_at: i128) -> Self {
        Retelling { mark: format!("anew-{made_at}"), since: None, each: Each::Once }
    }

    /// The documents that are still to be told.
    fn left(&self) -> Document {
        let done = self.each.done(&self.mark);
        done.map_or_else(Document::new, |(by, mark)| doc! { by: { "$ne": mark } })
    }
}

/// How much was told again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub documents: u64,
    pub events: u64,
}

impl<T: Aggregate> Aggregates<T> {
    /// Pushes onto every document the events that tell its present state. They are published from there,
    /// by whichever relay comes first.
    pub async fn retell(
        &self,
        retelling: &Retelling,
        mut progress: impl FnMut(Told),
        stop: &CancellationToken,
    ) -> anyhow::Result<Told> {
        #[derive(Deserialize)]
        struct Id {
            #[serde(rename = "_id")]
            id: String,
        }
        let mut filter = retelling.left();
        if let Some(since) = retelling.since {
            // What was written before there was such a field may have changed at any time.
            filter.insert("changedAt", doc! { "$not": { "$lt": since } });
        }
        let documents = self.documents.clone_with_type::<Id>();
        let ids = documents.find(filter);
        let ids = ids.projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 }).await?;
        let mut told = Told::default();
        let telling = ids
            .take_until(stop.cancelled())
            .map(|id| async move { self.retell_one(&id?.id, retelling).await })
            .buffer_unordered(CONCURRENCY);
        let mut telling = std::pin::pin!(telling);
        while let Some(events) = telling.try_next().await? {
            told.documents += 1;
            told.events += events;
            progress(told);
        }
        Ok(told)
    }

    /// Answers how many events tell it.
    async fn retell_one(&self, id: &str, retelling: &Retelling) -> anyhow::Result<u64> {
        for _ in 0..TRIES {
            let mut filter = retelling.left();
            filter.insert("_id", id);
            let Some(mut thing) = self.collection().find_one(filter.clone()).await? else {
                return Ok(0);
            };
            filter.insert("version", thing.version());
            let mut fields = doc! {};
            if let Each::Raised { .. } = retelling.each {
                thing.raise(RESTORED);
                fields = mongo::document(&thing)?;
                fields.remove("_id");
            }
            let events = thing.retold().into_iter().map(|event| event.again(&retelling.mark));
            let events = events.collect::<Vec<Announcement>>();
            if fields.is_empty() && events.is_empty() {
                return Ok(0);
            }
            let done = retelling.each.done(&retelling.mark);
            let beside = done.map_or_else(Document::new, |(by, mark)| doc! { by: mark });
            if self.write(filter, fields, beside, &events).await? {
                return Ok(u64::try_from(events.len()).unwrap_or(u64::MAX));
            }
        }
        Err(Contended).context(id.to_owned())
    }

    /// Begins to raise what a restored database has, or goes on with what a killed run began. Answers with
    /// the run's name, by which each document knows whether it was raised.
    pub async fn begin_restore(&self) -> anyhow::Result<String> {
        let first = doc! { "$setOnInsert": { "run": Uuid::now_v7().to_string() } };
        let restores = self.restores();
        let run = restores.find_one_and_update(doc! { "_id": T::COLLECTION }, first);
        let run = run.upsert(true).return_document(ReturnDocument::After).await?;
        let run = run.context("the restore's own document is missing")?;
        Ok(run.get_str("run")?.to_owned())
    }

    /// All are raised: a run that comes later is another one.
    pub async fn end_restore(&self, run: &str) -> anyhow::Result<()> {
        self.restores().delete_one(doc! { "_id": T::COLLECTION, "run": run }).await?;
        Ok(())
    }

    fn restores(&self) -> Collection<Document> {
        let database = self.documents.namespace().db;
        self.documents.client().database(&database).collection("restores")
    }

    /// Tells a stream that had to be made anew all that it lacks. Nothing, when there are no documents:
    /// then it is the first start.
    pub(super) async fn tell_new_streams(
        &self,
        bus: &Bus,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        for stream in bus.untold(T::COLLECTION).await? {
            let retelling = Retelling::to_a_new_stream(stream.made_at);
            let told = self.retell(&retelling, |_| {}, stop).await?;
            if stop.is_cancelled() {
                return Ok(());
            }
            bus.mark_told(&stream, T::COLLECTION, self.clock.now()).await?;
            if told.documents > 0 {
                metrics::counter!("retold_total", "collection" => T::COLLECTION)
                    .increment(told.documents);
                let Told { documents, events } = told;
                tracing::warn!(
                    stream = stream.name,
                    documents,
                    events,
                    "told a new stream all again"
                );
            }
        }
        Ok(())
    }

    /// Publishes what waits on the documents until nothing does, beside whoever else relays.
    pub async fn relay_all(&self, bus: &Bus, patience: Duration) -> anyhow::Result<()> {
        const PAUSE: Duration = Duration::from_millis(500);
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let relayed = async {
                bus.ensure_streams().await?;
                self.relay_pending(bus).await
            };
            match relayed.await {
                Ok(()) => return Ok(()),
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
