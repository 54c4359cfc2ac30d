//! One connection to Redis, of a service that goes on without it: it is never waited for longer than a short time, and after any
//! failure not at all, until the service has connected again in the background.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection, which all clones share.
#[derive(Clone)]
pub struct RedisConnection {
    client: Client,
    response_timeout: Duration,
    /// None while Redis is unavailable. The first error of any kind drops the connection (the crate's own manager keeps
    /// one that no longer responds).
    connection: Arc<Mutex<Option<MultiplexedConnection>>>,
}

impl RedisConnection {
    /// Doesn't connect yet. A response is waited for as long as that.
    pub fn new(url: &str, response_timeout: Duration) -> anyhow::Result<Self> {
        let client = Client::open(url).context("REDIS_URL: expected redis://host:port")?;
        let redis = RedisConnection { client, response_timeout, connection: Arc::default() };
        redis.disconnect();
        Ok(redis)
    }

    pub fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    /// Connects: from here on, [`RedisConnection::run`] reaches Redis.
    pub async fn connect(&self) -> RedisResult<()> {
        let connection = self.open().await?;
        self.set_connection(Some(connection));
        Ok(())
    }

    /// A connection of its own, which the others don't use.
    pub async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.response_timeout));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Drops the connection: nothing reaches Redis until the next [`RedisConnection::connect`].
    pub fn disconnect(&self) {
        self.set_connection(None);
    }

    /// Runs a command, or fails at once while there is no connection. Any failure drops the connection.
    pub async fn run<T>(
        &self,
        command: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let Some(mut connection) = self.connection().clone() else {
            return Err(std::io::Error::from(ErrorKind::NotConnected).into());
        };
        let result = command(&mut connection).await;
        if result.is_err() {
            self.disconnect();
        }
        result
    }

    fn connection(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_connection(&self, connection: Option<MultiplexedConnection>) {
        metrics::gauge!("redis_connected").set(if connection.is_some() { 1.0 } else { 0.0 });
        *self.connection() = connection;
    }
}
