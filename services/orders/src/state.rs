//! The settings, and the state of handlers, listeners and background tasks.

use std::time::Duration;

use axum::extract::FromRef;
use bus::ConsumerHealth;
use clap::{Args, Parser};
use common::Clock;
use common::settings::VerificationSettings;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, HttpState, ServiceContext};

use crate::domain::Slots;
use crate::store::Store;

/// orders: reserves tickets for buyers, and records who has bought them
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub state: StateSettings,
}

/// The settings of the state, which is all that an admin command needs.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,

    /// How long a ticket is reserved for its buyer, in seconds
    #[arg(long, env = "RESERVATION_SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub reservation_seconds: u64,

    /// How many unpaid orders one buyer may have
    #[arg(long, env = "RESERVATIONS_PER_BUYER", default_value_t = 5,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub reservations_per_buyer: u8,

    #[command(flatten)]
    pub verification: VerificationSettings,
}

/// The state of handlers, listeners and background tasks.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub consumers: ConsumerHealth,
    pub reservation_ttl: Duration,
    pub slots: Slots,
    pub require_verified_email: bool,
    pub(crate) context: ServiceContext,
}

impl FromRef<HttpState<App>> for App {
    fn from_ref(state: &HttpState<App>) -> App {
        state.app.clone()
    }
}

impl App {
    /// Connects, and creates the unique indexes before anything relies on them.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context = ServiceContext::connect("orders", &settings.context, clock.clone()).await?;
        let store = Store::open(&context.database, clock.clone()).await?;
        anyhow::ensure!(
            !store.is_shared_with_first_version().await?,
            "the database is that of version 0.1.0; upgrade as docs/operating.md says in \"Upgrading to listings of many\""
        );
        Ok(App {
            store,
            slots: Slots::new(settings.reservations_per_buyer),
            require_verified_email: settings.verification.require_verified_email,
            clock,
            consumers: context.consumers.clone(),
            reservation_ttl: Duration::from_secs(settings.reservation_seconds),
            context,
        })
    }

    /// The same state for listeners and background tasks, which have connections to MongoDB of their own.
    pub fn in_background(&self) -> App {
        App { store: self.store.in_background(&self.context.background), ..self.clone() }
    }
}
