//! What handlers share, and the settings that it is made of.

use std::sync::Arc;

use bus::NatsSettings;
use clap::Parser;
use common::Clock;
use common::settings::MarketSettings;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use url::Url;

use crate::api::{Api, ServiceUrls};
use crate::live::Live;
use crate::parts::Parts;
use crate::sitemap::Sitemap;
use crate::stripe;

/// The pages that people buy and sell on.
#[derive(Clone, Debug, Parser)]
#[command(name = "web")]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub nats: NatsSettings,
    #[command(flatten)]
    pub market: MarketSettings,

    #[command(flatten)]
    pub services: ServiceUrls,

    /// How long orders reserves a ticket for a buyer, in seconds; the pages name it
    #[arg(long, env = "RESERVATION_SECONDS", default_value_t = 900)]
    pub reservation_seconds: u64,

    /// Stripe's publishable key (pk_…): cards are typed into Stripe's own form. Without it, test cards
    /// are chosen from a list, for the local Stripe double
    #[arg(long, env = "STRIPE_PUBLISHABLE_KEY")]
    pub stripe_publishable_key: Option<String>,

    /// Where browsers reach the local Stripe, for its script; without it, Stripe's own script is used
    #[arg(long, env = "STRIPE_PUBLIC_URL")]
    pub stripe_public_url: Option<Url>,

    /// How many open pages may receive live updates at once; the others have to be reloaded. Each is an
    /// open connection, and takes some memory
    #[arg(long, env = "LIVE_STREAMS", default_value_t = 1500)]
    pub live_streams: usize,

    /// How many of them one visitor may have, who is a user, or an IP address without a session; then
    /// their oldest gives way
    #[arg(long, env = "LIVE_STREAMS_PER_VISITOR", default_value_t = 20)]
    pub live_streams_per_visitor: usize,
}

impl Settings {
    /// The origin of the local Stripe, if there is one.
    pub fn stripe_origin(&self) -> Option<String> {
        self.stripe_public_url.as_ref().map(stripe::origin)
    }
}

/// What handlers share.
#[derive(Clone)]
pub struct App {
    pub api: Api,
    pub verifier: Verifier,
    pub clock: Clock,
    pub live: Live,
    pub parts: Arc<Parts>,
    pub settings: Arc<Settings>,
    pub sitemap: Sitemap,
}

impl App {
    pub fn new(settings: Settings, clock: Clock) -> anyhow::Result<App> {
        let server = &settings.server;
        let verifier =
            Verifier::from_file(&server.jwt_public_keys, &server.public_url, clock.clone())?;
        let (api, sitemap) = (Api::new(&settings.services)?, Sitemap::default());
        let live = Live::new(settings.live_streams, settings.live_streams_per_visitor);
        let parts = Arc::new(Parts::new(&clock));
        Ok(App { api, verifier, clock, live, parts, settings: Arc::new(settings), sitemap })
    }

    /// The absolute URL of a path of ours.
    pub fn absolute(&self, path: &str) -> String {
        let origin = self.settings.server.public_url.origin().ascii_serialization();
        format!("{origin}{path}")
    }
}
