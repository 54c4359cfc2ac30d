//! Telling that holds have run out: a poll of Redis, which is quick, and a sweep of MongoDB, which
//! misses nothing. Either may run in several replicas at once: who writes first tells.

use std::collections::HashMap;
use std::time::Duration;

use common::Time;
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::domain::{Firing, Schedule};
use crate::state::App;

/// How often Redis is asked.
const POLL: Duration = Duration::from_millis(200);
/// How often MongoDB is searched for what the timers missed.
const SWEEP: Duration = Duration::from_secs(5);
/// How long the timers have before the sweep steps in.
const GRACE: Duration = Duration::from_secs(2);
/// How many orders one look takes.
const PAGE: u8 = 100;
/// How many timers are put back at once.
const REFILL: usize = 1000;
/// How many schedules are written at once.
const CONCURRENCY: usize = 16;

/// Fires what Redis says is due, until it is told to stop. A plain period: no chain of timers that could
/// break, nothing that blocks.
pub async fn poll(app: App, stop: CancellationToken) {
    let mut failing = false;
    let mut period = period(POLL);
    while begins(&mut period, &stop).await {
        match poll_once(&app, &stop).await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("timers are polled again");
            }
            Ok(()) => {}
            Err(error) => {
                metrics::counter!("expiration_poll_failures_total").increment(1);
                // Once is enough: the next line tells that it has passed.
                if !failing {
                    failing = true;
                    let error = format!("{error:#}");
                    tracing::warn!(error, "timers can't be polled; the sweep fires meanwhile");
                }
            }
        }
    }
}

async fn poll_once(app: &App, stop: &CancellationToken) -> anyhow::Result<()> {
    if !app.timers.is_connected() {
        app.timers.connect().await?;
        refill(app).await?;
    }
    while !stop.is_cancelled() {
        let due = app.timers.due(app.clock.now(), PAGE.into()).await?;
        if !due.filled {
            refill(app).await?;
        }
        let settled = settle(app, &due.orders).await?;
        if due.orders.len() < PAGE.into() || settled == 0 {
            break;
        }
    }
    Ok(())
}

/// Puts every timer back that MongoDB knows of, then marks Redis as filled.
async fn refill(app: &App) -> anyhow::Result<()> {
    let result = put_back(app).await;
    match &result {
        Ok(timers) => {
            metrics::counter!("expiration_refills_total").increment(1);
            tracing::info!(timers, "put the timers back into Redis");
        }
        // Redis may bear the mark of an earlier time, and would be taken for complete.
        Err(_) => app.timers.disconnect(),
    }
    result.map(drop)
}

async fn put_back(app: &App) -> anyhow::Result<usize> {
    let mut timers = 0;
    let mut pages = app.store.scheduled().await?.try_chunks(REFILL);
    while let Some(page) = pages.try_next().await? {
        let page: Vec<_> = page
            .iter()
            .filter_map(|schedule| Some((schedule.rings_at()?, schedule.order_id.to_string())))
            .collect();
        app.timers.put(&page).await?;
        timers += page.len();
    }
    app.timers.mark_filled().await?;
    Ok(timers)
}

/// Does what there is to do about these timers, as the record says, and answers how many of them will
/// not be seen again at once.
async fn settle(app: &App, orders: &[String]) -> anyhow::Result<usize> {
    let known = if orders.is_empty() { HashMap::new() } else { app.store.find(orders).await? };
    // What the record doesn't know is nobody's timer: it knows every order.
    let mut done: Vec<_> =
        orders.iter().filter(|order| !known.contains_key(*order)).cloned().collect();
    let (mut later, mut failure) = (Vec::new(), None);
    for (schedule, outcome) in fire(app, known.into_values().collect()).await {
        let order = schedule.order_id.to_string();
        match outcome {
            Ok(Outcome::Told | Outcome::NothingToTell) => done.push(order),
            Ok(Outcome::NotBefore(time)) => later.push((time, order)),
            Ok(Outcome::Changed) => {}
            Err(error) => failure = Some(error),
        }
    }
    // Only now that the record has the event: who dies before this line fires nothing twice, as the
    // record says so. A timer that was set anew in between goes too; the sweep finds it.
    app.timers.remove(&done).await?;
    app.timers.put(&later).await?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(done.len() + later.len()),
    }
}

/// What became of a timer that rang.
enum Outcome {
    /// It was told just now.
    Told,
    /// It was told before, or the order is over.
    NothingToTell,
    /// It rang too early.
    NotBefore(Time),
    /// The schedule changed under us: look again.
    Changed,
}

/// Fires these, some at once. A failure doesn't stop the others: a driver's future isn't to be dropped.
async fn fire(app: &App, schedules: Vec<Schedule>) -> Vec<(Schedule, store::Result<Outcome>)> {
    let firing = schedules.into_iter().map(|schedule| {
        let app = app.clone();
        async move {
            let outcome = fire_one(&app, &schedule).await;
            (schedule, outcome)
        }
    });
    futures::stream::iter(firing).buffer_unordered(CONCURRENCY).collect().await
}

/// Writes that the hold has run out, with the event that tells it, if the record says so.
async fn fire_one(app: &App, schedule: &Schedule) -> store::Result<Outcome> {
    let now = app.clock.now();
    let change = match schedule.fire(now) {
        Firing::Due(change) => change,
        Firing::NotBefore(time) => return Ok(Outcome::NotBefore(time)),
        Firing::Nothing => return Ok(Outcome::NothingToTell),
    };
    let schedules = &app.store.schedules;
    if !schedules.replace(schedule.version, &change.thing, &change.events).await? {
        return Ok(Outcome::Changed);
    }
    metrics::counter!("expiration_fired_total").increment(1);
    metrics::histogram!("expiration_delay_seconds").record(schedule.expires_at.until(now));
    Ok(Outcome::Told)
}

/// Fires what should have been fired by now, straight from MongoDB, until it is told to stop. With Redis
/// in order it finds nothing.
pub async fn sweep(app: App, stop: CancellationToken) {
    let mut period = period(SWEEP);
    while begins(&mut period, &stop).await {
        if let Err(error) = sweep_once(&app, &stop).await {
            let error = format!("{error:#}");
            tracing::warn!(error, "could not sweep; trying again");
        }
    }
}

async fn sweep_once(app: &App, stop: &CancellationToken) -> store::Result<()> {
    while !stop.is_cancelled() {
        let overdue = app.store.overdue(app.clock.now() - GRACE, PAGE.into()).await?;
        let (mut missed, mut failure) = (0, None);
        let found = overdue.len();
        for (_, outcome) in fire(app, overdue).await {
            match outcome {
                Ok(Outcome::Told) => missed += 1,
                Ok(Outcome::NothingToTell | Outcome::NotBefore(_) | Outcome::Changed) => {}
                Err(error) => failure = Some(error),
            }
        }
        if missed > 0 {
            metrics::counter!("expiration_timers_missed_total").increment(missed);
            tracing::warn!(missed, "the timers missed the end of holds");
        }
        match failure {
            Some(error) => return Err(error),
            None if found < PAGE.into() || missed == 0 => return Ok(()),
            None => {}
        }
    }
    Ok(())
}

/// The first tick comes after one period: what a start finds overdue is the timers' to fire.
fn period(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the next tick; false when it is time to stop.
async fn begins(period: &mut Interval, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        _ = period.tick() => true,
    }
}
