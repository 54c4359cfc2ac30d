//! Bounded concurrency of work that takes much memory or time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::caller::Caller;
use crate::error::{Error, Result};

/// How long a request waits for its turn. Shorter than a request's time limit.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A fixed number of requests do such work at once. The others wait, as many as a service has in flight, for a limited
/// time, and only as long as their caller does: work whose caller is gone isn't begun.
#[derive(Clone, Debug)]
pub struct Turns {
    /// As the metric of the waits calls it.
    work: &'static str,
    turns: Arc<Semaphore>,
}

/// Work may be done until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub fn new(work: &'static str, concurrency: usize) -> Self {
        Turns { work, turns: Arc::new(Semaphore::new(concurrency)) }
    }

    /// Waits for a turn; 503 if there is none in time.
    pub async fn take(&self, caller: &Caller) -> Result<Turn> {
        let unavailable = |why: &str| Error::Unavailable(anyhow!("not begun: {why}"));
        let begun = Instant::now();
        let turn = tokio::select! {
            biased;
            () = caller.gone() => Err(unavailable("the caller is gone")),
            turn = Arc::clone(&self.turns).acquire_owned() => {
                turn.map(|permit| Turn { _permit: permit }).map_err(|_| unavailable("the service stops"))
            }
            () = tokio::time::sleep(TIMEOUT) => Err(unavailable("too many requests before this one")),
        };
        metrics::histogram!("queue_wait_seconds", "work" => self.work).record(begun.elapsed());
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_taken_by_who_still_waits_and_refused_after_a_while() {
        let turns = Turns::new("work", 1);
        let caller = Caller::default();
        let turn = turns.take(&caller).await.unwrap();

        let abandoned = Caller::default();
        let gone = abandoned.gone_when_dropped();
        let mut waiting = std::pin::pin!(turns.take(&abandoned));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(gone);
        drop(turn);
        // There is a turn, and nobody waits for the work.
        assert!(matches!(waiting.await, Err(Error::Unavailable(_))));

        let turn = turns.take(&caller).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert!(matches!(turns.take(&caller).await, Err(Error::Unavailable(_))));
        assert_eq!(begun.elapsed(), TIMEOUT);
        drop(turn);
        drop(turns.take(&caller).await.unwrap());
    }
}
