//! Waiting for a condition, with a timeout, instead of sleeping.

use std::future::Future;
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use store::{Aggregate, Documents};
use tokio::time::{Instant, sleep};

/// How long a test waits for what must happen. It fails a test that would hang; no machine is that slow.
pub const TIMEOUT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(20);

/// Polls until the condition yields a value. Panics with `what` after [`TIMEOUT`].
pub async fn eventually<T, F, Fut>(what: &str, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let result = retry_for(TIMEOUT, async || condition().await.ok_or(())).await;
    result.unwrap_or_else(|()| panic!("timed out after {TIMEOUT:?} waiting for {what}"))
}

/// Retries until success. After the timeout it returns the last error.
pub async fn retry_for<T, E>(
    timeout: Duration,
    attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    retry_every(INTERVAL, timeout, attempt).await
}

/// The same with another interval between attempts.
pub async fn retry_every<T, E>(
    interval: Duration,
    timeout: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let started = Instant::now();
    loop {
        let outcome = attempt().await;
        if outcome.is_ok() || started.elapsed() > timeout {
            return outcome;
        }
        sleep(interval).await;
    }
}

/// Waits until background tasks have looked so many times more for what an index leads to. So a test asserts that nothing
/// happens: of two looks by one task, the second begins after the first has ended.
pub async fn looked_up<T: Aggregate>(documents: &Documents<T>, index: &str, times: i64) {
    let collection = documents.collection();
    let lookups = async || {
        let statistics = [doc! { "$indexStats": {} }, doc! { "$match": { "name": index } }];
        let statistics = collection.aggregate(statistics).await.expect("MongoDB responds");
        let statistics: Vec<Document> = statistics.try_collect().await.expect("MongoDB responds");
        let accesses = statistics.iter().map(|index| index.get_document("accesses"));
        let count = |accesses: &Document| accesses.get_i64("ops").expect("a number");
        accesses.map(|accesses| count(accesses.expect("statistics"))).sum::<i64>()
    };
    let until = lookups().await + times;
    eventually(&format!("{times} more look-ups of {index}"), || async {
        (lookups().await >= until).then_some(())
    })
    .await;
}

/// Waits until every outbox is empty.
pub async fn all_published<T: Aggregate>(documents: &Documents<T>) {
    let documents = documents.collection();
    eventually("all events to be published", || async {
        let pending = documents.count_documents(doc! { "outboxPending": true });
        (pending.await.expect("MongoDB responds") == 0).then_some(())
    })
    .await;
}
