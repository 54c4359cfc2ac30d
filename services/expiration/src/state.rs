//! What the service is configured with, and what its handlers, listeners and tasks work with.

use clap::{Args, Parser};
use common::Clock;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, ServiceContext};

use crate::store::Store;
use crate::timers::Timers;

/// expiration: when each hold runs out
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub state: StateSettings,
}

/// What the service's state needs; an operator's command needs no more.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,

    /// The timer queue; what it has is in MongoDB too, so that it may lose it
    #[arg(long, env = "REDIS_URL")]
    pub redis_url: String,
}

/// What the listeners and the background work use.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub timers: Timers,
    pub clock: Clock,
    pub(crate) context: ServiceContext,
}

impl App {
    /// Connects, and makes the indexes before anything is heard. Redis and NATS are connected to in the
    /// background: it starts while they are down.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context =
            ServiceContext::connect("expiration", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            timers: Timers::new(&settings.redis_url)?,
            clock,
            context,
        })
    }
}
