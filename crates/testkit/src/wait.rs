//! Waiting for a condition, with a limit: what tests do where others sleep.

use std::future::Future;
use std::time::Duration;

use mongodb::bson::doc;
use store::{Aggregate, Documents};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer. Panics, naming `what` it waited for, after 20 s.
pub async fn eventually<T, F, Fut>(what: &str, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let met = patiently(LIMIT, async || condition().await.ok_or(())).await;
    met.unwrap_or_else(|()| panic!("waited {LIMIT:?} in vain for: {what}"))
}

/// Tries again and again. After the limit it answers with what was wrong the last time.
pub async fn patiently<T, E>(
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        let outcome = attempt().await;
        if outcome.is_ok() || begun.elapsed() > limit {
            return outcome;
        }
        sleep(PAUSE).await;
    }
}

/// Waits until no document has an event that isn't on the bus.
pub async fn all_published<T: Aggregate>(things: &Documents<T>) {
    let things = things.collection();
    eventually("all events to be published", || async {
        let pending = things.count_documents(doc! { "outboxPending": true });
        (pending.await.expect("MongoDB answers") == 0).then_some(())
    })
    .await;
}
