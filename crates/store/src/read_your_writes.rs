//! Read-your-writes across services: a request may name what its client has just created in another service.

use std::future::Future;
use std::time::Duration;

use anyhow::anyhow;
use common::Time;
use httpkit::Error;

use crate::error::Result;

/// An object that is younger than this may not have reached the replica yet.
const YOUNG: Duration = Duration::from_secs(10);
/// By how much the clock of the service that created the object may be ahead of ours.
const SKEW: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pauses between two reads double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Reads from a replica what a request names, and waits up to two seconds for it while it is young. None: it doesn't
/// exist. If it is young and hasn't arrived, or `is_disconnected` says that the consumer which feeds the replica is
/// disconnected, it may well exist: then the response is 503, never 404.
pub async fn read_your_writes<T, F: Future<Output = Result<Option<T>>>>(
    created_at: Option<Time>,
    now: Time,
    is_disconnected: impl Fn() -> bool,
    find: impl Fn() -> F,
) -> httpkit::Result<Option<T>> {
    // An id from the future was not created by any of our services.
    let young =
        created_at.is_some_and(|created_at| now < created_at + YOUNG && created_at <= now + SKEW);
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = find().await? {
            return Ok(Some(found));
        }
        if !young || tokio::time::Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if is_disconnected() {
        let error = anyhow!("the consumer that feeds the replica is disconnected");
        return Err(Error::Unavailable(error));
    }
    if young {
        return Err(Error::Unavailable(anyhow!("what the request names hasn't arrived yet")));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn now() -> Time {
        Time::from_millis(1_700_000_000_000)
    }

    /// The result for an object that is never found, and how often it was looked for.
    async fn look_for(created_at: Option<Time>) -> (httpkit::Result<Option<()>>, usize) {
        let reads = Cell::new(0);
        let find = async || {
            reads.set(reads.get() + 1);
            Ok(None)
        };
        let found = read_your_writes(created_at, now(), || false, find).await;
        (found, reads.get())
    }

    #[tokio::test]
    async fn what_is_young_and_unknown_is_503_after_a_few_reads() {
        let youngest = [now(), now() - Duration::from_millis(9_999), now() + SKEW];
        let outcomes = youngest.map(|created_at| look_for(Some(created_at)));
        for (found, reads) in futures::future::join_all(outcomes).await {
            assert!(matches!(found, Err(Error::Unavailable(_))), "{found:?}");
            assert!((2..40).contains(&reads), "{reads} reads");
        }
    }

    #[tokio::test]
    async fn what_is_old_or_from_the_future_or_has_no_time_does_not_exist() {
        let hour = Duration::from_secs(3600);
        for created_at in [Some(now() - YOUNG), Some(now() + SKEW * 2), Some(now() + hour), None] {
            let (found, reads) = look_for(created_at).await;
            assert!(matches!(found, Ok(None)), "{found:?}");
            assert_eq!(reads, 1);
        }
    }
}
