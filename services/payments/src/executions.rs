//! What this process executes in the background: at most so much at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// How many payments it works on concurrently: payments for which Stripe doesn't respond must not block the others.
const CONCURRENCY: usize = 64;

#[derive(Clone)]
pub struct Executions {
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Default for Executions {
    fn default() -> Self {
        Executions { permits: Arc::new(Semaphore::new(CONCURRENCY)), tasks: TaskTracker::new() }
    }
}

impl Executions {
    /// The right to one more. None: there are enough.
    pub fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// The same, once there is room.
    pub async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    pub fn spawn(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            work.await;
            drop(permit);
        });
    }

    /// Waits for what was begun.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
