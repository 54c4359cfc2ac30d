//! What the service is configured with, and what its handlers, listeners and tasks work with.

use std::time::Duration;

use axum::extract::FromRef;
use bus::ConsumerHealth;
use clap::{Args, Parser};
use common::Clock;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, HttpState, ServiceContext};

use crate::store::Store;

/// orders: who holds a ticket, until when, and who has bought it
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

    /// How long a buyer holds a ticket, in seconds
    #[arg(long, env = "RESERVATION_SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub reservation_seconds: u64,
}

/// What the handlers and listeners work with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub consumers: ConsumerHealth,
    pub reservation: Duration,
    pub(crate) context: ServiceContext,
}

impl FromRef<HttpState<App>> for App {
    fn from_ref(door: &HttpState<App>) -> App {
        door.app.clone()
    }
}

impl App {
    /// Connects, and makes the unique indexes before anything is asked of them.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context = ServiceContext::connect("orders", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            clock,
            consumers: context.consumers.clone(),
            reservation: Duration::from_secs(settings.reservation_seconds),
            context,
        })
    }
}
