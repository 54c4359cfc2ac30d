//! Settings of every service that speaks HTTP. They come from environment variables; the doc comments are what `--help`
//! prints.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use common::Clock;
use telemetry::TracingSettings;
use url::Url;

use crate::auth::Verifier;

/// Only the gateway.
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

    /// Port of /healthz, /readyz and /metrics, which the gateway doesn't expose
    #[arg(long, env = "ADMIN_PORT", default_value_t = 9000)]
    pub admin_port: u16,

    /// The URL at which browsers reach the site: cookies are Secure when it is https, and writes that come from
    /// pages of other origins are refused
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Url,

    /// Number of proxies between clients and the services, the gateway included: so many entries of
    /// X-Forwarded-For, from the last, are trusted; 0 trusts none
    #[arg(long, env = "TRUSTED_PROXIES", default_value_t = DEFAULT_TRUSTED_PROXIES)]
    pub trusted_proxies: usize,

    /// Requests per second that one client IP may send to a replica, with bursts of five times as many; without it
    /// there is no limit
    #[arg(long, env = "REQUESTS_PER_SECOND")]
    pub requests_per_second: Option<NonZeroU32>,

    /// File with the Ed25519 public keys (PEM, one after the other) that sign-in tokens are verified with
    #[arg(long, env = "JWT_PUBLIC_KEYS")]
    pub jwt_public_keys: PathBuf,

    /// Log filter, as directives of tracing-subscriber, such as info,orders=debug
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,

    #[command(flatten)]
    pub tracing: TracingSettings,
}

impl ServerSettings {
    /// The verifier of session tokens.
    pub fn verifier(&self, clock: &Clock) -> anyhow::Result<Verifier> {
        Verifier::from_file(&self.jwt_public_keys, &self.public_url, clock.clone())
    }
}
