//! Whether a service's consumers are connected: while one isn't, its replica may lack what others have published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::events::Stream;

use crate::connection::Bus;

/// The state of a service's consumers, by stream.
#[derive(Clone)]
pub struct ConsumerHealth {
    bus: Bus,
    connected: Arc<[AtomicBool; Stream::ALL.len()]>,
}

impl ConsumerHealth {
    /// Of a service whose consumers haven't been started yet.
    pub fn of(bus: &Bus) -> Self {
        ConsumerHealth { bus: bus.clone(), connected: Arc::default() }
    }

    /// Whether events of this stream may not have reached us.
    pub fn is_disconnected(&self, stream: Stream) -> bool {
        !self.bus.is_connected() || !self.connected[stream as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn set_connected(&self, stream: Stream, connected: bool) {
        self.connected[stream as usize].store(connected, Ordering::Relaxed);
        let value = if connected { 1.0 } else { 0.0 };
        metrics::gauge!("consumer_connected", "stream" => stream.name()).set(value);
    }
}
