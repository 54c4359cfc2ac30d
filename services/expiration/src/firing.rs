//! Telling that holds have run out: a poll of Redis, which is quick, and a sweep of MongoDB, which
//! misses nothing. Either may run in several replicas at once: who writes first tells.

use std::time::Duration;

use common::Time;
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::{Firing, Schedule};

/// How often Redis is asked.
const POLL: Duration = Duration::from_millis(200);
/// How often MongoDB is searched for what the timers missed.
const SWEEP: Duration = Duration::from_secs(5);
/// How long the timers have before the sweep steps in.
const GRACE: Duration = Duration::from_secs(2);
/// How many orders one look takes.
const PAGE: u16 = 100;
/// How many timers are put back at once.
const REFILL: usize = 1000;
/// How many schedules are written at once.
const CONCURRENCY: usize = 16;

/// Fires what Redis says is due, until it is told to stop. A plain period: no chain of timers that could
/// break, nothing that blocks.
pub async fn poll(app: App, stop: CancellationToken) {
    let mut failing = false;
    while tick(&mut every(POLL), &stop).await {
        match poll_once(&app, &stop).await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("timers are polled again");
            }
            Ok(()) => {}
            Err(error) => {
                metrics::counter!("expiration_poll_failures_total").increment(1);
                if !failing {
                    failing = true;
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "timers can't be polled; the sweep fires meanwhile"
                    );
                }
            }
        }
    }
}
