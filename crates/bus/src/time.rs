//! The broker's times, which are in nanoseconds.

use common::Time;

/// The time that is so many nanoseconds after the epoch.
pub fn from_nanos(nanos: i128) -> Time {
    Time::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX))
}
