//! The one place that reads the time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

/// The source of time: the system, or a test that advances it manually.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        match self {
            Self::System => system_ms(),
            Self::Manual(manual) => *manual.0.borrow(),
        }
    }

    /// Returns when `ms` milliseconds have passed.
    async fn wait(&self, ms: u64) {
        match self {
            Self::System => tokio::time::sleep(Duration::from_millis(ms)).await,
            Self::Manual(manual) => {
                let until = manual.0.borrow().saturating_add(ms);
                // It can't be closed: this clock holds a sender.
                let _ = manual.0.subscribe().wait_for(|now| *now >= until).await;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system time")]
fn system_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<u64>>);

impl ManualClock {
    pub fn at_ms(ms: u64) -> Self {
        Self(Arc::new(watch::Sender::new(ms)))
    }

    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.saturating_add(to_ms(by)));
    }
}

/// The double's own time, which a request can set ahead of the clock.
#[derive(Debug)]
pub struct Time {
    clock: Clock,
    offset_ms: watch::Sender<u64>,
}

impl Time {
    pub fn new(clock: Clock, offset_ms: u64) -> Self {
        Self { clock, offset_ms: watch::Sender::new(offset_ms) }
    }

    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms().saturating_add(self.offset_ms())
    }

    /// The clock's, without the offset.
    pub fn clock_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub fn offset_ms(&self) -> u64 {
        *self.offset_ms.borrow()
    }

    pub fn set_offset_ms(&self, ms: u64) {
        self.offset_ms.send_replace(ms);
    }

    pub async fn sleep_until(&self, ms: u64) {
        let mut offset = self.offset_ms.subscribe();
        loop {
            let left = ms.saturating_sub(self.now_ms());
            if left == 0 {
                return;
            }
            tokio::select! {
                () = self.clock.wait(left) => {}
                _ = offset.changed() => {}
            }
        }
    }
}

pub fn to_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
