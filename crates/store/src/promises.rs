//! Promises, as documents show whether they are kept.

use std::time::Duration;

use bson::{Document, doc};
use common::{Clock, Time};
use futures::TryStreamExt;
use mongodb::Database;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::timed_collection::{SCAN, TimedCollection};

/// How often the documents are counted that an index finds.
const PERIOD: Duration = Duration::from_secs(15);
/// How often those are that take a look at all of a collection.
const SCAN_PERIOD: Duration = Duration::from_secs(600);
/// The relay is woken by each write.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(30);
/// More are counted as so many.
const MOST: u64 = 1000;

/// Something that is never the case for longer than a moment.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// Its name in the metrics, and of its runbook.
    pub name: &'static str,
    /// The collection of the documents that would break it.
    pub collection: &'static str,
    /// Finds them.
    pub broken: Broken,
}

/// How the documents are found that break a promise.
#[derive(Clone, Copy, Debug)]
pub enum Broken {
    /// By this filter, and an index.
    Indexed(fn(Time) -> Document),
    /// By this pipeline, which reads many documents.
    Scanned(fn() -> Vec<Document>),
}

impl Promise {
    /// What a collection's outboxes hold is published at once. The relay measures them, too; this notices a relay that does
    /// nothing.
    pub const fn published(name: &'static str, collection: &'static str) -> Self {
        Promise { name, collection, broken: Broken::Indexed(unpublished) }
    }
}

fn unpublished(now: Time) -> Document {
    doc! { "outboxPending": true, "outbox.0.time": { "$lt": now - PUBLISHED_WITHIN } }
}

/// Background task: counts the documents that break each promise. Every replica reports the same.
pub async fn watch(
    database: Database,
    promises: &'static [Promise],
    clock: Clock,
    stop: CancellationToken,
) {
    let counted = |often: bool| {
        let promises = promises.iter();
        promises.filter(move |promise| often == matches!(promise.broken, Broken::Indexed(_)))
    };
    let counting = async |often, period| {
        loop {
            for promise in counted(often) {
                match count(&database, promise, clock.now()).await {
                    Ok(count) => {
                        let count = u32::try_from(count).unwrap_or(u32::MAX);
                        metrics::gauge!("broken_promises", "promise" => promise.name).set(count);
                    }
                    Err(error) => {
                        tracing::warn!(promise = promise.name, %error, "could not check a promise");
                    }
                }
            }
            tokio::time::sleep(period).await;
        }
    };
    let both = async { tokio::join!(counting(true, PERIOD), counting(false, SCAN_PERIOD)) };
    stop.run_until_cancelled(both).await;
}

/// How many break a promise.
pub async fn count(database: &Database, promise: &Promise, now: Time) -> Result<u64> {
    let collection = TimedCollection::<Document>::new(database, promise.collection);
    let collection = collection.in_background(database);
    match promise.broken {
        Broken::Indexed(filter) => Ok(collection.count_documents(filter(now)).limit(MOST).await?),
        Broken::Scanned(pipeline) => {
            let limit = i64::try_from(MOST).unwrap_or(i64::MAX);
            let pipeline = pipeline().into_iter().chain([doc! { "$limit": limit }]);
            let broken = collection.aggregate(pipeline).max_time(SCAN).allow_disk_use(true);
            let broken: Vec<Document> = broken.await?.try_collect().await?;
            Ok(broken.len() as u64)
        }
    }
}
