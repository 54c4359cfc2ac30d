//! All of expiration's Redis: a sorted set of orders by the millisecond at which their hold runs out, and
//! a mark that says that it has them all.
//!
//! Redis is quick but not the record. Nobody waits for it: while it is down, timers are only written
//! down in MongoDB, and whoever connects puts all of them back ([`Timers::connect`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use common::Time;
use common::durability::DurabilityError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, Pipeline, RedisResult};

use crate::domain::Schedule;

/// The sorted set: order ids by the milliseconds of their end.
const DUE: &str = "expiration:due";
/// Is there as long as Redis has lost nothing: FLUSHALL, or a new and empty Redis, takes it away.
const FILLED: &str = "expiration:filled";
/// How long a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The timer queue.
#[derive(Clone)]
pub struct Timers {
    client: Client,
    /// None while Redis can't be had. The first error of any kind ends a connection (the crate's own
    /// manager keeps one that no longer answers): what was asked may be lost, so all is put back.
    link: Arc<Mutex<Option<MultiplexedConnection>>>,
}

/// What Redis says is due.
pub struct Due {
    pub orders: Vec<String>,
    /// Whether Redis still has all that was put into it.
    pub filled: bool,
}

impl Timers {
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let client = Client::open(url).context("REDIS_URL: expected redis://host:port")?;
        let timers = Timers { client, link: Arc::default() };
        timers.disconnect();
        Ok(timers)
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.link().is_some()
    }

    /// Connects. From here on [`Timers::follow`] reaches Redis; what was written down before is to be
    /// put back by the caller. In this order nothing falls between the two.
    pub async fn connect(&self) -> anyhow::Result<()> {
        let config = config();
        let link = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.set_link(Some(link));
        Ok(())
    }

    /// Whether Redis is set to keep what it acknowledges.
    pub async fn check(self) -> Result<(), DurabilityError> {
        let config = config();
        let link = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut link = link.map_err(anyhow::Error::from)?;
        match redis::cmd("INFO").query_async::<String>(&mut link).await {
            Ok(info) => judge(&info).map_err(DurabilityError::Misconfigured),
            // Not every managed Redis lets INFO through.
            Err(error) if error.code() == Some("NOPERM") => {
                tracing::warn!(%error, "how Redis is set isn't checked");
                Ok(())
            }
            Err(error) => Err(anyhow::Error::from(error).into()),
        }
    }

    /// Forgets the connection, because Redis may lack timers: the next one puts them all back.
    pub fn disconnect(&self) {
        self.set_link(None);
    }

    /// Makes the timer agree with its schedule. Whoever listens doesn't wait for Redis: what doesn't
    /// reach it is put back with the next connection.
    pub async fn follow(&self, schedule: &Schedule) {
        if !self.is_connected() {
            return;
        }
        let order = schedule.order_id.to_string();
        let done = match schedule.rings_at() {
            Some(time) => self.put(&[(time, order)]).await,
            None => self.remove(&[order]).await,
        };
        if let Err(error) = done {
            tracing::warn!(order = %schedule.order_id, %error, "Redis didn't take the timer");
        }
    }

    /// Puts timers in, or moves those that are there.
    pub async fn put(&self, timers: &[(Time, String)]) -> RedisResult<()> {
        let scored: Vec<_> = timers.iter().map(|(time, order)| (time.millis(), order)).collect();
        if scored.is_empty() {
            return Ok(());
        }
        self.ask(async |link| link.zadd_multiple(DUE, &scored).await).await
    }

    pub async fn remove(&self, orders: &[String]) -> RedisResult<()> {
        if orders.is_empty() {
            return Ok(());
        }
        self.ask(async |link| link.zrem(DUE, orders).await).await
    }

    /// Up to `limit` orders whose time has come, the earliest first.
    pub async fn due(&self, now: Time, limit: isize) -> RedisResult<Due> {
        let mut question = Pipeline::new();
        question.exists(FILLED).zrangebyscore_limit(DUE, "-inf", now.millis(), 0, limit);
        let (filled, orders) = self.ask(async |link| question.query_async(link).await).await?;
        Ok(Due { orders, filled })
    }

    /// Says that Redis has every timer there is.
    pub async fn mark_filled(&self) -> RedisResult<()> {
        self.ask(async |link| link.set(FILLED, 1).await).await
    }

    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let Some(mut link) = self.link().clone() else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
        };
        let answer = question(&mut link).await;
        if answer.is_err() {
            self.disconnect();
        }
        answer
    }

    fn link(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_link(&self, link: Option<MultiplexedConnection>) {
        metrics::gauge!("redis_connected").set(if link.is_some() { 1.0 } else { 0.0 });
        *self.link() = link;
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
}

/// Settings by which Redis would lose timers that it has acknowledged: MongoDB's sweep would fire them,
/// some seconds late, at each of its restarts.
fn judge(info: &str) -> Result<(), String> {
    let says = |line: &str| info.lines().any(|said| said.trim() == line);
    if says("aof_enabled:0") {
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
            "Redis (REDIS_URL): maxmemory-policy is {policy}, and must be noeviction: as it is set, a \
             full memory throws timers away"
        )),
    }
}
