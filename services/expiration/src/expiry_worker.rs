//! The workers that expire reservations: a poll of Redis, which is fast, and a sweep of MongoDB, which misses nothing.
//! Several replicas may run both concurrently: the first write wins.

use std::collections::HashMap;
use std::time::Duration;

use common::Time;
use futures::{StreamExt, TryStreamExt};
use telemetry::spans;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::domain::{ExpiryDecision, Schedule};
use crate::state::App;

/// How often Redis is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often MongoDB is searched for what the timers missed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How late the timers may be before the sweep takes over.
const SWEEP_DELAY: Duration = Duration::from_secs(2);
/// How many orders one query returns.
const BATCH: u8 = 100;
/// How many timers are inserted at once when the queue is rebuilt.
const REBUILD_BATCH: usize = 1000;
/// How many schedules are written concurrently.
const CONCURRENCY: usize = 16;

/// Expires what is due according to Redis, until `stop` is cancelled. A fixed interval: no chain of timers that could break,
/// nothing that blocks.
pub async fn poll(app: App, stop: CancellationToken) {
    let mut is_failing = false;
    let mut interval = interval(POLL_INTERVAL);
    while next_tick(&mut interval, &stop).await {
        match poll_once(&app, &stop).await {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("polling timers resumed");
            }
            Ok(()) => {}
            Err(error) => {
                metrics::counter!("expiration_poll_failures_total").increment(1);
                // Logged once: the line above reports the recovery.
                if !is_failing {
                    is_failing = true;
                    let error = format!("{error:#}");
                    tracing::warn!(error, "could not poll timers, the sweep takes over");
                }
            }
        }
    }
}

async fn poll_once(app: &App, stop: &CancellationToken) -> anyhow::Result<()> {
    if !app.timers.is_connected() {
        app.timers.connect().await?;
        rebuild(app).await?;
    }
    while !stop.is_cancelled() {
        let due = app.timers.due(app.clock.now(), BATCH.into()).await?;
        if !due.is_complete {
            rebuild(app).await?;
        }
        let processed = process(app, &due.orders).await?;
        if due.orders.len() < BATCH.into() || processed == 0 {
            break;
        }
    }
    Ok(())
}

/// Inserts every timer that MongoDB has, then marks the queue as complete.
async fn rebuild(app: &App) -> anyhow::Result<()> {
    let result = insert_scheduled(app).await;
    match &result {
        Ok(timers) => {
            metrics::counter!("expiration_refills_total").increment(1);
            tracing::info!(timers, "timer queue rebuilt");
        }
        // Redis may still have an older marker, by which it would count as complete.
        Err(_) => app.timers.disconnect(),
    }
    result.map(drop)
}

async fn insert_scheduled(app: &App) -> anyhow::Result<usize> {
    let mut inserted = 0;
    let mut batches = app.store.scheduled().await?.try_chunks(REBUILD_BATCH);
    while let Some(batch) = batches.try_next().await? {
        let timers: Vec<_> = batch
            .iter()
            .filter_map(|schedule| Some((schedule.due_at()?, schedule.order_id.to_string())))
            .collect();
        app.timers.insert(&timers).await?;
        inserted += timers.len();
    }
    app.timers.mark_complete().await?;
    Ok(inserted)
}

/// Processes due timers as their schedules in MongoDB say. Returns how many of them are no longer due.
async fn process(app: &App, orders: &[String]) -> anyhow::Result<usize> {
    let known = if orders.is_empty() { HashMap::new() } else { app.store.find(orders).await? };
    // MongoDB knows every order: a timer without a schedule is removed.
    let mut done: Vec<_> =
        orders.iter().filter(|order| !known.contains_key(*order)).cloned().collect();
    let (mut not_due, mut failure) = (Vec::new(), None);
    for (schedule, outcome) in expire_all(app, known.into_values().collect()).await {
        let order = schedule.order_id.to_string();
        match outcome {
            Ok(Outcome::Expired | Outcome::NothingToDo) => done.push(order),
            Ok(Outcome::NotDue(time)) => not_due.push((time, order)),
            Ok(Outcome::Conflict) => {}
            Err(error) => failure = Some(error),
        }
    }
    // Only after MongoDB has the event: a crash before this line expires nothing twice, because the schedule is marked. A
    // timer that was inserted again meanwhile is removed, too; the sweep finds it.
    app.timers.remove(&done).await?;
    app.timers.insert(&not_due).await?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(done.len() + not_due.len()),
    }
}

/// What became of a due timer.
enum Outcome {
    /// Its event was stored now.
    Expired,
    /// Its event was stored before, or the order has ended.
    NothingToDo,
    /// The timer was too early.
    NotDue(Time),
    /// Another writer was faster; the next poll or sweep decides again.
    Conflict,
}

/// Expires these schedules concurrently. A failure doesn't cancel the rest: a future of the MongoDB driver must not be
/// dropped.
async fn expire_all(
    app: &App,
    schedules: Vec<Schedule>,
) -> Vec<(Schedule, store::Result<Outcome>)> {
    let ids = schedules.iter().map(|schedule| &schedule.order_id);
    let traces = app.store.documents().traces(ids).await;
    let expiring = schedules.into_iter().map(|schedule| {
        let app = app.clone();
        let span = spans::work("expire reservation", traces.of(schedule.order_id));
        let expire = async move {
            let outcome = expire(&app, &schedule).await;
            (schedule, outcome)
        };
        expire.instrument(span)
    });
    futures::stream::iter(expiring).buffer_unordered(CONCURRENCY).collect().await
}

/// Stores that the reservation has expired, with the event, if it has.
async fn expire(app: &App, schedule: &Schedule) -> store::Result<Outcome> {
    let now = app.clock.now();
    let change = match schedule.expire(now) {
        ExpiryDecision::Expire(change) => change,
        ExpiryDecision::NotDue(time) => return Ok(Outcome::NotDue(time)),
        ExpiryDecision::NothingToDo => return Ok(Outcome::NothingToDo),
    };
    if !app.store.replace(schedule, &change).await? {
        return Ok(Outcome::Conflict);
    }
    metrics::counter!("expiration_fired_total").increment(1);
    metrics::histogram!("expiration_delay_seconds").record(schedule.expires_at.until(now));
    Ok(Outcome::Expired)
}

/// Expires what is overdue, directly from MongoDB, until `stop` is cancelled. While Redis works it finds nothing.
pub async fn sweep(app: App, stop: CancellationToken) {
    let mut interval = interval(SWEEP_INTERVAL);
    while next_tick(&mut interval, &stop).await {
        if let Err(error) = sweep_once(&app, &stop).await {
            let error = format!("{error:#}");
            tracing::warn!(error, "sweep failed, will retry");
        }
    }
}

async fn sweep_once(app: &App, stop: &CancellationToken) -> store::Result<()> {
    while !stop.is_cancelled() {
        let overdue = app.store.overdue(app.clock.now() - SWEEP_DELAY, BATCH.into()).await?;
        let (mut missed, mut failure) = (0, None);
        let found = overdue.len();
        for (_, outcome) in expire_all(app, overdue).await {
            match outcome {
                Ok(Outcome::Expired) => missed += 1,
                Ok(Outcome::NothingToDo | Outcome::NotDue(_) | Outcome::Conflict) => {}
                Err(error) => failure = Some(error),
            }
        }
        if missed > 0 {
            metrics::counter!("expiration_timers_missed_total").increment(missed);
            tracing::warn!(missed, "the sweep expired reservations that the timers missed");
        }
        match failure {
            Some(error) => return Err(error),
            None if found < BATCH.into() || missed == 0 => return Ok(()),
            None => {}
        }
    }
    Ok(())
}

/// The first tick comes after one interval: what is overdue at the start is left to the timers first.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Waits for the next tick; false once `stop` is cancelled.
async fn next_tick(interval: &mut Interval, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        _ = interval.tick() => true,
    }
}
