//! Read-your-writes across services: a request may name what its client has just created in another service.

use std::future::Future;
use std::time::Duration;

use common::Time;

use crate::error::Result;

/// An object that is younger than this may not have reached the replica yet.
const YOUNG: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Reads from a replica what a request names, and waits up to two seconds for it while it is young.
///
/// `is_disconnected` says whether the consumer that feeds the replica is: then an unknown object may well exist, and
/// the response is 503 rather than none.
pub async fn read_your_writes<T, F: Future<Output = Result<Option<T>>>>(
    created_at: Option<Time>,
    now: Time,
    is_disconnected: impl Fn() -> bool,
    find: impl Fn() -> F,
) -> httpkit::Result<Option<T>> {
    // A clock ahead of ours creates objects in the future; they are young too.
    let young = created_at.is_some_and(|created_at| now < created_at + YOUNG);
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = find().await? {
            return Ok(Some(found));
        }
        if !young || tokio::time::Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if is_disconnected() {
        let error = anyhow::anyhow!("the consumer that feeds the replica is disconnected");
        return Err(httpkit::Error::Unavailable(error));
    }
    Ok(None)
}
