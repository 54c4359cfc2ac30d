//! All of expiration's Redis: the timer queue, a sorted set of order ids by the millisecond at which their reservations
//! expire, and a marker that the set is complete.
//!
//! Redis is fast, but not the record. Nothing waits for it: while it is down, timers are stored in MongoDB only, and after
//! a reconnect the queue is rebuilt from there ([`TimerQueue::connect`]).

use std::time::Duration;

use common::Time;
use common::durability::DurabilityError;
use redis::{AsyncCommands, Pipeline, RedisResult};
use redis_connection::RedisConnection;

use crate::domain::Schedule;

/// The sorted set: order ids by the milliseconds of their expiry.
const QUEUE: &str = "expiration:due";
/// Exists as long as Redis has lost nothing: FLUSHALL, or a new and empty Redis, removes it.
const COMPLETE: &str = "expiration:filled";
/// How long a response may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The timer queue.
#[derive(Clone)]
pub struct TimerQueue {
    /// The first error of any kind drops the connection: the command may be lost, so the queue is rebuilt.
    redis: RedisConnection,
}

/// The timers that are due according to Redis.
pub struct DueTimers {
    pub orders: Vec<String>,
    /// Whether Redis still has everything that was inserted.
    pub is_complete: bool,
}

impl TimerQueue {
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(TimerQueue { redis: RedisConnection::new(url, TIMEOUT)? })
    }

    pub fn is_connected(&self) -> bool {
        self.redis.is_connected()
    }

    /// Connects. From here on [`TimerQueue::update`] reaches Redis; the caller then inserts what was stored in MongoDB
    /// before. In this sequence no timer is missed between the two.
    pub async fn connect(&self) -> anyhow::Result<()> {
        Ok(self.redis.connect().await?)
    }

    /// Whether Redis is configured to keep what it acknowledges.
    pub async fn check_durability(self) -> Result<(), DurabilityError> {
        let mut connection = self.redis.open().await.map_err(anyhow::Error::from)?;
        match redis::cmd("INFO").query_async::<String>(&mut connection).await {
            Ok(info) => check_info(&info).map_err(DurabilityError::Misconfigured),
            // Not every managed Redis permits INFO.
            Err(error) if error.code() == Some("NOPERM") => {
                tracing::warn!(%error, "INFO not permitted, durability of Redis not checked");
                Ok(())
            }
            Err(error) => Err(anyhow::Error::from(error).into()),
        }
    }

    /// Drops the connection, because Redis may lack timers: after the next connect the queue is rebuilt.
    pub fn disconnect(&self) {
        self.redis.disconnect();
    }

    /// Updates the timers of these schedules. A failure isn't returned, so that listeners don't depend on Redis: the timers are
    /// inserted when the queue is rebuilt.
    pub async fn update(&self, schedules: &[Schedule]) {
        if !self.is_connected() {
            return;
        }
        let (mut due, mut over) = (Vec::new(), Vec::new());
        for schedule in schedules {
            let order = schedule.order_id.to_string();
            match schedule.due_at() {
                Some(time) => due.push((time, order)),
                None => over.push(order),
            }
        }
        let updated = async {
            self.insert(&due).await?;
            self.remove(&over).await
        };
        if let Err(error) = updated.await {
            tracing::warn!(%error, "could not update timers in Redis");
        }
    }

    /// Inserts timers, or moves existing ones.
    pub async fn insert(&self, timers: &[(Time, String)]) -> RedisResult<()> {
        let scored: Vec<_> = timers.iter().map(|(time, order)| (time.millis(), order)).collect();
        if scored.is_empty() {
            return Ok(());
        }
        self.redis.run(async |connection| connection.zadd_multiple(QUEUE, &scored).await).await
    }

    pub async fn remove(&self, orders: &[String]) -> RedisResult<()> {
        if orders.is_empty() {
            return Ok(());
        }
        self.redis.run(async |connection| connection.zrem(QUEUE, orders).await).await
    }

    /// Up to `limit` orders whose timers are due, the earliest first.
    pub async fn due(&self, now: Time, limit: isize) -> RedisResult<DueTimers> {
        let mut commands = Pipeline::new();
        commands.exists(COMPLETE).zrangebyscore_limit(QUEUE, "-inf", now.millis(), 0, limit);
        let (is_complete, orders) =
            self.redis.run(async |connection| commands.query_async(connection).await).await?;
        Ok(DueTimers { orders, is_complete })
    }

    /// Records that the queue contains every timer.
    pub async fn mark_complete(&self) -> RedisResult<()> {
        self.redis.run(async |connection| connection.set(COMPLETE, 1).await).await
    }
}

/// Refuses a configuration with which Redis would lose timers that it has acknowledged: the sweep of MongoDB would publish
/// their expiry, but seconds late, at each restart of Redis.
fn check_info(info: &str) -> Result<(), String> {
    if info.lines().any(|line| line.trim() == "aof_enabled:0") {
        return Err(
            "Redis (REDIS_URL): appendonly is no, and must be yes: as it is set, a restart \
                    loses timers"
                .to_owned(),
        );
    }
    let policy = info.lines().find_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
    match policy {
        Some("noeviction") | None => Ok(()),
        Some(policy) => Err(format!(
            "Redis (REDIS_URL): maxmemory-policy is {policy}, and must be noeviction: as it is set, \
             timers are evicted when memory is full"
        )),
    }
}
