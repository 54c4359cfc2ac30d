//! Rate limits of what guesses, spams or writes: one table, in Redis, which all replicas share. While Redis is unavailable,
//! each process limits by itself, by the same table; it has counted all along.
//!
//! An attempt is counted before a password is hashed, so that what is refused costs nothing; a success is given back.

mod gcra;
mod local;
mod shared;

use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use httpkit::{Error, Result};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

pub use gcra::{Cell, Rate};
use local::LocalLimiter;
use shared::SharedLimiter;

/// What is limited, and by what it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Wrong passwords for an account from an address. (An address of IPv6 is its network of 64 bits.)
    SignIn,
    /// Wrong passwords for an account from all addresses together, but for devices from which it was signed in to.
    SignInFromAnywhere,
    /// Wrong passwords for an account from one of these devices, whatever its address: others can't use it up.
    SignInFromKnownDevice,
    /// Accounts that are created from an address: `SIGN_UPS_PER_HOUR`.
    SignUp,
    /// Mails with a link, such as those of a recovery, that are asked for from an address.
    Mail,
    /// The same, for one account or mail address.
    MailTo,
    /// Exchanges of an API token for access tokens.
    AccessToken,
    /// Writes of a signed-in user.
    Write,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

impl Limit {
    /// The table. Each of the rates must admit it.
    fn rates(self, sign_ups: Rate) -> Vec<Rate> {
        match self {
            // The delay grows: a few wrong passwords at once, then one in ten seconds, in a minute, in a quarter of an hour.
            Limit::SignIn | Limit::SignInFromKnownDevice => {
                vec![Rate::new(10, 10, SECOND), Rate::new(30, 1, MINUTE), Rate::new(60, 15, MINUTE)]
            }
            Limit::SignInFromAnywhere => {
                vec![Rate::new(30, 30, SECOND), Rate::new(100, 5, MINUTE)]
            }
            Limit::SignUp => vec![sign_ups],
            Limit::Mail => vec![Rate::new(10, 6, MINUTE)],
            Limit::MailTo => vec![Rate::new(3, 5, MINUTE), Rate::new(10, 2, HOUR)],
            Limit::AccessToken => vec![Rate::new(60, 10, SECOND)],
            Limit::Write => vec![Rate::new(60, 1, SECOND)],
        }
    }

    /// In keys and metrics.
    fn name(self) -> &'static str {
        match self {
            Limit::SignIn => "sign-in",
            Limit::SignInFromAnywhere => "sign-in-from-anywhere",
            Limit::SignInFromKnownDevice => "sign-in-from-known-device",
            Limit::SignUp => "sign-up",
            Limit::Mail => "mail",
            Limit::MailTo => "mail-to",
            Limit::AccessToken => "access-token",
            Limit::Write => "write",
        }
    }

    fn refusal(self) -> &'static str {
        match self {
            Limit::SignIn | Limit::SignInFromAnywhere | Limit::SignInFromKnownDevice => {
                "Too many attempts to sign in"
            }
            Limit::SignUp => "Too many new accounts from your address",
            Limit::Mail | Limit::MailTo => "Too many mails were asked for",
            Limit::AccessToken => {
                "This token was exchanged too often: an access token is valid for minutes"
            }
            Limit::Write => "Too many changes at once",
        }
    }
}

/// A limit, of one account, address, or both.
#[derive(Clone, Debug)]
pub struct Use {
    limit: Limit,
    key: String,
}

impl Use {
    /// Of whatever these together name: an account and an address, for example.
    pub fn of(limit: Limit, names: &[&(dyn Display + Sync)]) -> Use {
        let mut digest = Sha256::new();
        for name in names {
            digest.update(name.to_string());
            digest.update([0]);
        }
        // No mail address is readable in Redis, and no key is longer than any other.
        let digest = digest.finalize().into_iter().take(16).map(|byte| format!("{byte:02x}"));
        Use { limit, key: format!("limit:{}:{}", limit.name(), digest.collect::<String>()) }
    }
}

/// Something that was counted, so that it can be given back.
#[derive(Clone, Debug)]
#[must_use]
pub struct Counted(Vec<Cell>);

/// The limits, as a process of auth applies them.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    shared: SharedLimiter,
    local: LocalLimiter,
    sign_ups: Rate,
    /// Whether the last decision was made without Redis.
    is_alone: AtomicBool,
}

impl Limits {
    /// Connects to Redis, or leaves it to [`Limits::keep_connected`].
    pub async fn connect(redis_url: &str, sign_ups_per_hour: NonZeroU32) -> anyhow::Result<Self> {
        let shared = SharedLimiter::new(redis_url)?;
        shared.connect().await;
        Ok(Limits(Arc::new(Inner {
            shared,
            local: LocalLimiter::default(),
            sign_ups: Rate::per_hour(sign_ups_per_hour),
            is_alone: AtomicBool::new(false),
        })))
    }

    /// Counts one attempt against all of these, or, if one of them is exhausted, against none: 429 with the time to wait.
    pub async fn allow(&self, uses: &[Use]) -> Result<Counted> {
        let cells: Vec<Cell> = uses.iter().flat_map(|it| self.cells(it)).collect();
        match self.count(&cells).await {
            Ok(()) => Ok(Counted(cells)),
            Err((cell, wait)) => {
                let refused = uses.iter().find(|it| cells[cell].key.starts_with(&it.key));
                let limit = refused.map_or(Limit::Write, |it| it.limit);
                metrics::counter!("rate_limited_total", "limit" => limit.name()).increment(1);
                let seconds = wait.as_millis().div_ceil(1_000).max(1);
                let detail = format!("{}. Try again in {seconds} s.", limit.refusal());
                Err(Error::too_many_requests(detail, wait))
            }
        }
    }

    /// Takes it back: it was no guess.
    pub async fn give_back(&self, counted: Counted) {
        let Counted(cells) = counted;
        self.0.local.give_back(&cells, Instant::now());
        if let Err(error) = self.0.shared.give_back(&cells).await {
            tracing::debug!(%error, "not given back in Redis");
        }
    }

    /// Background task: connects to Redis, whenever there is no connection.
    pub async fn keep_connected(self, stop: CancellationToken) {
        self.0.shared.keep_connected(stop).await;
    }

    async fn count(&self, cells: &[Cell]) -> Result<(), (usize, Duration)> {
        let alone = self.0.local.count(cells, Instant::now());
        match self.0.shared.count(cells).await {
            Ok(outcome) => {
                if self.0.is_alone.swap(false, Ordering::Relaxed) {
                    tracing::info!("Redis available, rate limits are shared by all replicas");
                }
                outcome
            }
            Err(error) => {
                metrics::counter!("rate_limit_fallbacks_total").increment(1);
                if !self.0.is_alone.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "Redis unavailable, each process limits by itself");
                }
                alone
            }
        }
    }

    fn cells(&self, of: &Use) -> Vec<Cell> {
        let rates = of.limit.rates(self.0.sign_ups).into_iter().enumerate();
        rates.map(|(number, rate)| Cell { key: format!("{}:{number}", of.key), rate }).collect()
    }
}
