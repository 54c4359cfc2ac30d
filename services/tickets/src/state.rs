//! The settings of the service, and the state that its handlers, listeners and background tasks share.

use admissions::AdmissionSettings;
use axum::extract::FromRef;
use clap::{Args, Parser};
use common::Clock;
use common::settings::{MarketSettings, VerificationSettings};
use httpkit::Turns;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, HttpState, ServiceContext};

use crate::store::Store;

/// Tickets for sale: listing, searching, editing and deleting them.
#[derive(Clone, Debug, Parser)]
#[command(name = "tickets")]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub admissions: AdmissionSettings,
    #[command(flatten)]
    pub state: StateSettings,
}

/// The settings of the state alone; an admin command needs no others.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,
    #[command(flatten)]
    pub market: MarketSettings,
    #[command(flatten)]
    pub verification: VerificationSettings,
}

/// How many pages of lists are read at once: one may have two megabytes of descriptions.
const CONCURRENT_LISTS: usize = 8;

/// What the handlers and the listeners share.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub market: MarketSettings,
    pub require_verified_email: bool,
    pub clock: Clock,
    pub(crate) lists: Turns,
    pub(crate) context: ServiceContext,
}

impl FromRef<HttpState<App>> for App {
    fn from_ref(state: &HttpState<App>) -> App {
        state.app.clone()
    }
}

impl App {
    /// Connects to MongoDB and NATS, and creates the indexes.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context = ServiceContext::connect("tickets", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            market: settings.market.clone(),
            require_verified_email: settings.verification.require_verified_email,
            clock,
            lists: Turns::new("lists", CONCURRENT_LISTS),
            context,
        })
    }

    /// The same state for listeners and background tasks, which have connections to MongoDB of their own.
    pub fn in_background(&self) -> App {
        App { store: self.store.in_background(&self.context.background), ..self.clone() }
    }
}
