//! What this process has just written, on its way to the relay. Only a shortcut: the database has all of it, and the relay
//! reads that every second in any case.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::outbox::{OutboxEntry, Pending};

/// More new documents at once than these are read by the relay, too.
const MAX_DOCUMENTS: usize = 256;

/// From the writes of a collection to its relay.
#[derive(Default)]
pub(crate) struct Handoff {
    written: Mutex<Written>,
    arrival: Notify,
}

/// What was written since the relay looked the last time.
#[derive(Default)]
pub(crate) struct Written {
    /// New documents with their events: they have no earlier ones, which would have to be published first.
    pub new: Vec<Pending>,
    /// Whether there is more: events of existing documents, which are read with earlier ones that another process may have
    /// written; or too many documents.
    pub must_read: bool,
}

impl Handoff {
    /// A new document was stored with these events.
    pub fn put(&self, id: String, outbox: Vec<OutboxEntry>) {
        if outbox.is_empty() {
            return;
        }
        let mut written = self.lock();
        if written.new.len() < MAX_DOCUMENTS {
            written.new.push(Pending { id, outbox });
        } else {
            written.must_read = true;
        }
        drop(written);
        self.arrival.notify_one();
    }

    /// An existing document was given events.
    pub fn announce_change(&self) {
        self.lock().must_read = true;
        self.arrival.notify_one();
    }

    /// Takes what was handed over.
    pub fn take(&self) -> Written {
        mem::take(&mut *self.lock())
    }

    /// Waits until something is handed over.
    pub async fn arrival(&self) {
        self.arrival.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
