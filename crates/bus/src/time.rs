//! The broker's times, which are in nanoseconds.

use anyhow::anyhow;
use async_nats::datetime::{self, DateTime};
use common::Time;

/// The time that is so many nanoseconds after the epoch.
pub fn from_nanos(nanos: i128) -> Time {
    Time::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX))
}

/// A time as the broker has it.
pub fn to_datetime(time: Time) -> anyhow::Result<DateTime> {
    datetime::from_nanos(i128::from(time.millis()) * 1_000_000).map_err(|error| anyhow!(error))
}
