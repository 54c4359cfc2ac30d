//! How much the server was used: by them a test sees whether connections are reused.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

#[derive(Debug, Default)]
pub struct Stats {
    connections: AtomicU64,
    messages: AtomicU64,
    closed: AtomicU64,
}

/// The numbers at one moment.
#[derive(Debug, Serialize)]
pub struct Totals {
    /// Connections that were opened.
    pub connections: u64,
    /// Messages that were received in full, whether or not they were accepted.
    pub messages: u64,
    /// Connections that were closed because their client was idle for too long.
    pub closed: u64,
}

impl Stats {
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub fn received(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn totals(&self) -> Totals {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Totals {
            connections: read(&self.connections),
            messages: read(&self.messages),
            closed: read(&self.closed),
        }
    }
}
