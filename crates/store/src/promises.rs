//! Promises, as documents show whether they are kept.

use std::time::Duration;

use bson::{Document, doc};
use common::{Clock, Time};
use mongodb::Database;
use tokio_util::sync::CancellationToken;

use crate::timed_collection::TimedCollection;

/// How often the documents are counted.
const PERIOD: Duration = Duration::from_secs(15);
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
    /// Finds them at this time, by an index.
    pub broken: fn(Time) -> Document,
}

impl Promise {
    /// What a collection's outboxes hold is published at once. The relay measures them, too; this notices a relay that does
    /// nothing.
    pub const fn published(name: &'static str, collection: &'static str) -> Self {
        Promise { name, collection, broken: unpublished }
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
    let collection = |promise: &Promise| {
        TimedCollection::<Document>::new(&database, promise.collection).in_background(&database)
    };
    let counting = async {
        loop {
            for promise in promises {
                let broken = collection(promise);
                let broken = broken.count_documents((promise.broken)(clock.now())).limit(MOST);
                match broken.await {
                    Ok(count) => {
                        let count = u32::try_from(count).unwrap_or(u32::MAX);
                        metrics::gauge!("broken_promises", "promise" => promise.name).set(count);
                    }
                    Err(error) => {
                        tracing::warn!(promise = promise.name, %error, "could not check a promise");
                    }
                }
            }
            tokio::time::sleep(PERIOD).await;
        }
    };
    stop.run_until_cancelled(counting).await;
}
