//! Whether a service's consumers are up to date: while one isn't, its replica may lack what others have published.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::message::Info;
use common::Time;
use common::events::Stream;

use crate::connection::Bus;
use crate::time;

/// A consumer that still has messages to handle which were published longer ago is behind.
const BEHIND: Duration = Duration::from_secs(10);

/// The state of a service's consumers, by stream.
#[derive(Clone)]
pub struct ConsumerHealth {
    bus: Bus,
    consumers: Arc<[Consumer; Stream::ALL.len()]>,
}

#[derive(Default)]
struct Consumer {
    connected: AtomicBool,
    progress: Mutex<Progress>,
}

/// How far a consumer has come in its stream.
#[derive(Default)]
struct Progress {
    /// The messages that are being handled: when each was published, by its sequence in the stream.
    handling: BTreeMap<u64, Time>,
    /// When the newest message that was delivered was published, and how many there were after it.
    newest: Option<(Time, u64)>,
}

impl ConsumerHealth {
    /// Of a service whose consumers haven't been started yet.
    pub fn of(bus: &Bus) -> Self {
        ConsumerHealth { bus: bus.clone(), consumers: Arc::default() }
    }

    /// Whether the replica may lack events of this stream that were published more than ten seconds ago: the consumer is
    /// disconnected, or so far behind.
    pub fn is_behind(&self, stream: Stream, now: Time) -> bool {
        self.is_disconnected(stream) || self.progress(stream).is_behind(now)
    }

    /// Whether events of this stream may not have reached us.
    pub fn is_disconnected(&self, stream: Stream) -> bool {
        let connected = self.consumers[stream as usize].connected.load(Ordering::Relaxed);
        !self.bus.is_connected() || !connected
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn set_connected(&self, stream: Stream, connected: bool) {
        self.consumers[stream as usize].connected.store(connected, Ordering::Relaxed);
        let value = if connected { 1.0 } else { 0.0 };
        metrics::gauge!("consumer_connected", "stream" => stream.name()).set(value);
    }

    /// Counts the message as being handled until what is returned is dropped.
    pub(crate) fn handling(&self, stream: Stream, info: &Info<'_>) -> Handling<'_> {
        let sequence = info.stream_sequence;
        let published = time::from_nanos(info.published.unix_timestamp_nanos());
        let mut progress = self.progress(stream);
        progress.handling.insert(sequence, published);
        if progress.newest.is_none_or(|(newest, _)| newest <= published) {
            progress.newest = Some((published, info.pending));
        }
        Handling { health: self, stream, sequence }
    }

    fn progress(&self, stream: Stream) -> MutexGuard<'_, Progress> {
        let progress = &self.consumers[stream as usize].progress;
        progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn is_behind(&self, now: Time) -> bool {
        let is_old = |published: Time| now > published + BEHIND;
        self.handling.values().copied().any(is_old)
            || self.newest.is_some_and(|(published, pending)| pending > 0 && is_old(published))
    }
}

/// A message that is being handled.
pub(crate) struct Handling<'a> {
    health: &'a ConsumerHealth,
    stream: Stream,
    sequence: u64,
}

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        self.health.progress(self.stream).handling.remove(&self.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn a_consumer_is_behind_while_an_older_message_is_handled_or_waits() {
        let behind = |handling: Option<i64>, newest: Option<(i64, u64)>| {
            let handling = handling.map(|published| (1, at(published))).into_iter().collect();
            let newest = newest.map(|(published, pending)| (at(published), pending));
            Progress { handling, newest }.is_behind(at(100))
        };
        assert!(!behind(None, None), "nothing was ever published");
        assert!(!behind(None, Some((10, 0))), "all that was published is handled");
        assert!(!behind(Some(90), Some((90, 5))), "ten seconds are no more than ten seconds");
        assert!(behind(Some(89), Some((89, 0))), "an old message is being handled");
        assert!(behind(None, Some((89, 1))), "an old message waits after this one");
        assert!(!behind(Some(101), Some((101, 3))), "the broker's clock is ahead");
    }
}
