//! The limits of all replicas, in Redis: one script, by Redis' own clock. Each key expires once it is as if it had never been
//! used.

use std::io::ErrorKind;
use std::time::Duration;

use redis::{RedisError, RedisResult};
use redis_connection::RedisConnection;
use tokio_util::sync::CancellationToken;

use super::gcra::Cell;

/// How long a request waits for Redis.
const TIMEOUT: Duration = Duration::from_millis(100);
/// After how long without a response the connection counts as lost: until there is another one, no request waits at all.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is attempted.
const PAUSE: Duration = Duration::from_secs(1);

/// KEYS: the cells. ARGV: `count` or `give back`, then for each cell its interval and its tolerance, in microseconds.
/// Returns the number of the cell that refuses for longest and for how many microseconds; 0 and 0 if none does.
const SCRIPT: &str = r#"
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local due, refused, wait = {}, 0, 0
for cell, key in ipairs(KEYS) do
  due[cell] = math.max(tonumber(redis.call('GET', key) or now), now)
  local ahead = due[cell] - now - tonumber(ARGV[cell * 2 + 1])
  if ahead > wait then refused, wait = cell, ahead end
end
local is_count = ARGV[1] == 'count'
if is_count and wait > 0 then return { refused, wait } end
for cell, key in ipairs(KEYS) do
  local interval = tonumber(ARGV[cell * 2])
  local next = due[cell] + (is_count and interval or -interval)
  if next > now then
    redis.call('SET', key, string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
  else
    redis.call('DEL', key)
  end
end
return { 0, 0 }
"#;

#[derive(Clone)]
pub struct SharedLimiter(RedisConnection);

impl SharedLimiter {
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(SharedLimiter(RedisConnection::new(url, RESPONSE_TIMEOUT)?))
    }

    /// Counts a use of each cell, or of none: which one refuses it for longest, and for how long.
    pub async fn count(&self, cells: &[Cell]) -> Result<Result<(), (usize, Duration)>, RedisError> {
        let (refused, wait) = self.run("count", cells).await?;
        let wait = Duration::from_micros(wait);
        Ok(refused.checked_sub(1).map_or(Ok(()), |cell| Err((cell, wait))))
    }

    pub async fn give_back(&self, cells: &[Cell]) -> Result<(), RedisError> {
        self.run("give back", cells).await.map(drop)
    }

    async fn run(&self, act: &str, cells: &[Cell]) -> RedisResult<(usize, u64)> {
        let mut script = redis::cmd("EVAL");
        script.arg(SCRIPT).arg(cells.len());
        for cell in cells {
            script.arg(&cell.key);
        }
        script.arg(act);
        for cell in cells {
            let micros =
                |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            script.arg(micros(cell.rate.interval)).arg(micros(cell.rate.tolerance()));
        }
        // It is completed whether or not its request still waits, so that a lost connection is noticed.
        let redis = self.0.clone();
        let script = tokio::spawn(async move {
            redis.run(async |connection| script.query_async(connection).await).await
        });
        match tokio::time::timeout(TIMEOUT, script).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(std::io::Error::from(ErrorKind::TimedOut).into()),
        }
    }

    /// Connects, if there is no connection.
    pub async fn connect(&self) {
        if !self.0.is_connected()
            && let Err(error) = self.0.connect().await
        {
            tracing::debug!(%error, "connecting to Redis");
        }
    }

    pub async fn keep_connected(&self, stop: CancellationToken) {
        let connecting = async {
            loop {
                self.connect().await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        stop.run_until_cancelled(connecting).await;
    }
}
