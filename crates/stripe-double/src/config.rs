//! Settings.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use url::Url;

use crate::clock::Clock;

/// A local Stripe: its API, its test cards, its idempotency and its webhooks, without its money.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Settings {
    /// The address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// The port to listen on; 0 takes any free one.
    #[arg(long, env = "PORT", default_value_t = 12111)]
    pub port: u16,

    /// The directory of the journal, which holds all committed state. It is created if it doesn't exist.
    #[arg(long, env = "DATA_DIR", default_value = ".dev/stripe")]
    pub data_dir: PathBuf,

    /// How long the refunds of the cards 4000000000007726 (pending first) and 4000000000005126 (fails later) take to settle,
    /// and after which a charge of 4000000000000259, 4000000000002685 or 4000000000001976 is disputed.
    #[arg(long, env = "REFUND_SETTLES_AFTER_MS", default_value_t = 1_000)]
    pub refund_settles_after_ms: u64,

    /// Where browsers reach the double, for Stripe.js and 3-D Secure's page [default: the address that it listens on].
    #[arg(long, env = "STRIPE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,

    /// A webhook endpoint that receives every event, besides those that are created with the API
    #[arg(long, env = "WEBHOOK_URL", value_name = "URL", requires = "webhook_secret")]
    pub webhook_url: Option<Url>,

    /// The secret with which that endpoint's events are signed
    #[arg(
        long,
        env = "WEBHOOK_SECRET",
        value_name = "whsec_…",
        hide_env_values = true,
        requires = "webhook_url"
    )]
    pub webhook_secret: Option<String>,

    /// The pause before a webhook is delivered again, which doubles with each attempt, up to an hour
    #[arg(long, env = "WEBHOOK_RETRY_AFTER_MS", default_value_t = 1_000)]
    pub webhook_retry_after_ms: u64,
}

/// The same settings, for a double embedded in another program.
#[derive(Debug, Clone)]
pub struct Config {
    pub host: IpAddr,
    pub port: u16,
    pub data_dir: PathBuf,
    pub refund_settles_after: Duration,
    /// Without a slash at the end. The address that it listens on, if absent.
    pub public_url: Option<String>,
    /// An endpoint for every event, besides those that are created with the API.
    pub webhook: Option<Webhook>,
    pub webhook_retry_after: Duration,
    pub webhook_timeout: Duration,
    pub clock: Clock,
}

#[derive(Debug, Clone)]
pub struct Webhook {
    pub url: String,
    pub secret: String,
}

/// How long a receiver of webhooks may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

impl Config {
    /// On a free port of the loopback interface.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            data_dir: data_dir.into(),
            refund_settles_after: Duration::from_secs(1),
            public_url: None,
            webhook: None,
            webhook_retry_after: Duration::from_secs(1),
            webhook_timeout: WEBHOOK_TIMEOUT,
            clock: Clock::System,
        }
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self {
            host: settings.host,
            port: settings.port,
            data_dir: settings.data_dir,
            refund_settles_after: Duration::from_millis(settings.refund_settles_after_ms),
            public_url: settings
                .public_url
                .map(|url| url.as_str().trim_end_matches('/').to_owned()),
            webhook: settings
                .webhook_url
                .zip(settings.webhook_secret)
                .map(|(url, secret)| Webhook { url: url.into(), secret }),
            webhook_retry_after: Duration::from_millis(settings.webhook_retry_after_ms),
            webhook_timeout: WEBHOOK_TIMEOUT,
            clock: Clock::System,
        }
    }
}
