//! The generic cell rate algorithm: for each key, the time at which all of its uses so far would have been due at the permitted
//! rate. It may lie in the future by as much as a burst.

use std::num::NonZeroU32;
use std::time::Duration;

/// How many at once, and how long it takes until one more is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    pub interval: Duration,
}

/// One rate of one key.
#[derive(Clone, Debug)]
pub struct Cell {
    pub key: String,
    pub rate: Rate,
}

impl Rate {
    pub const fn new(burst: u32, times: u32, unit: Duration) -> Self {
        Rate { burst, interval: Duration::from_secs(unit.as_secs() * times as u64) }
    }

    /// So many an hour, all of them at once if they like.
    pub fn per_hour(count: NonZeroU32) -> Self {
        Rate { burst: count.get(), interval: Duration::from_secs(60 * 60) / count.get() }
    }

    /// How far in the future the last use may be due for another one to be admitted.
    pub fn tolerance(self) -> Duration {
        self.interval * (self.burst - 1)
    }

    /// What a use that is due after so long has to wait for.
    pub fn wait(self, ahead: Duration) -> Option<Duration> {
        ahead.checked_sub(self.tolerance()).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_admitted_and_then_one_each_interval() {
        let rate = Rate::new(3, 10, Duration::from_secs(1));
        let seconds = Duration::from_secs;
        for (ahead, wait) in [(0, None), (10, None), (20, None), (21, Some(1)), (30, Some(10))] {
            assert_eq!(rate.wait(seconds(ahead)), wait.map(seconds), "{ahead}");
        }
        let hourly = Rate::per_hour(NonZeroU32::new(20).unwrap());
        assert_eq!(hourly, Rate::new(20, 180, seconds(1)));
    }
}
