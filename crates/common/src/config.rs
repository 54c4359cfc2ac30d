//! Settings that several services have in common. They come from environment variables alone; the
//! doc comments are what `--help` prints.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::auth::Verifier;
use crate::clock::Clock;
use crate::money::{Currency, Money};

/// The gateway alone.
pub const DEFAULT_TRUSTED_PROXIES: usize = 1;

/// Where a service listens, and how it is reached from outside.
#[derive(Clone, Debug, Args)]
pub struct ServerSettings {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub host: IpAddr,

    /// Port of the HTTP API
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub port: u16,

    /// Port of /healthz, /readyz and /metrics, which the gateway doesn't name
    #[arg(long, env = "ADMIN_PORT", default_value_t = 9000)]
    pub admin_port: u16,

    /// The address that visitors type: cookies are Secure when it is https, and writes that come from
    /// pages of other sites are refused
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Url,

    /// How many proxies stand between visitors and the services, the gateway included. So many entries of
    /// X-Forwarded-For, from the last, are believed; 0 believes none
    #[arg(long, env = "TRUSTED_PROXIES", default_value_t = DEFAULT_TRUSTED_PROXIES)]
    pub trusted_proxies: usize,

    /// File with the Ed25519 public keys (PEM, one after the other) that sign-in tokens are verified with
    #[arg(long, env = "JWT_PUBLIC_KEYS")]
    pub jwt_public_keys: PathBuf,

    /// What is logged, as directives of tracing-subscriber, such as info,orders=debug
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
}

impl ServerSettings {
    /// What tokens are verified with.
    pub fn verifier(&self, clock: &Clock) -> anyhow::Result<Verifier> {
        Verifier::from_file(&self.jwt_public_keys, &self.public_url, clock.clone())
    }
}

/// What a service that keeps something stands on (see [`crate::foundation::Foundation`]).
#[derive(Clone, Debug, Args)]
pub struct FoundationSettings {
    #[command(flatten)]
    pub mongo: MongoSettings,
    #[command(flatten)]
    pub nats: NatsSettings,
}

/// The service's own database.
#[derive(Clone, Debug, Args)]
pub struct MongoSettings {
    /// The service's own database, named in the path; a replica set (one member will do)
    #[arg(long, env = "MONGO_URI", hide_env_values = true)]
    pub mongo_uri: String,
}

/// The event bus.
#[derive(Clone, Debug, Args)]
pub struct NatsSettings {
    /// NATS with JetStream, such as nats://orders:password@nats:4222. Where it has a user for each service, this
    /// one's is named in the address
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,

    /// NATS' monitoring port, where it says whether it is set to keep what it acknowledges, such as
    /// http://nats:8222; of a cluster, a name that leads to all of its nodes. Without it that isn't checked
    #[arg(long, env = "NATS_MONITOR_URL")]
    pub nats_monitor_url: Option<Url>,

    #[command(flatten)]
    pub streams: StreamSettings,
}

/// How the streams keep what they are given.
#[derive(Clone, Debug, Args)]
pub struct StreamSettings {
    /// On how many NATS nodes each stream is kept
    #[arg(long, env = "NATS_REPLICAS", default_value_t = 1)]
    pub nats_replicas: usize,

    /// How many days an event stays in its stream; a dead letter waits three times as long. Who was down for
    /// longer has to be told again
    #[arg(long, env = "NATS_MAX_AGE_DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(3..=3650))]
    pub nats_max_age_days: u64,

    /// How much a stream may hold, in MiB; NATS sets room for six of them aside (jetstream.max_file_store)
    #[arg(long, env = "NATS_MAX_MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub nats_max_mib: u32,
}

impl Default for StreamSettings {
    fn default() -> Self {
        StreamSettings { nats_replicas: 1, nats_max_age_days: 30, nats_max_mib: 1024 }
    }
}

/// What the deployment sells in and where.
#[derive(Clone, Debug, Args)]
pub struct MarketSettings {
    /// ISO 4217 code of the currency of every price; it must have two decimals
    #[arg(long, env = "CURRENCY", default_value = "usd")]
    pub currency: Currency,

    /// The least that a ticket may cost; Stripe takes nothing below 0.50 usd
    #[arg(long, env = "MIN_PRICE", default_value = "0.50")]
    pub min_price: Money,

    /// IANA time zone of dates that come without one
    #[arg(long, env = "TIME_ZONE", default_value = "UTC", value_parser = parse_time_zone)]
    pub time_zone: String,
}

/// The name of an IANA time zone, as the database spells it.
pub fn parse_time_zone(name: &str) -> Result<String, String> {
    let zone = jiff::tz::TimeZone::get(name)
        .map_err(|_| "expected an IANA time zone such as Europe/Berlin".to_owned())?;
    zone.iana_name().map(str::to_owned).ok_or_else(|| "expected an IANA time zone".to_owned())
}
