//! The service's settings, and the state that its handlers, listeners and worker share.

use std::sync::Arc;

use account_links::LinkSettings;
use admissions::AdmissionSettings;
use axum::extract::FromRef;
use bus::ConsumerHealth;
use clap::{Args, Parser};
use common::{Clock, Time};
use httpkit::settings::ServerSettings;
use service::{ContextSettings, HttpState, ServiceContext};
use tokio::sync::Notify;

use crate::settings::MailSettings;
use crate::store::Store;

/// confirmation: mails to buyers and sellers
#[derive(Clone, Debug, Parser)]
#[command(after_help = "confirmation mails --help: the mails that could not be sent")]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub mail: MailSettings,
    #[command(flatten)]
    pub admissions: AdmissionSettings,
    #[command(flatten)]
    pub links: LinkSettings,
    #[command(flatten)]
    pub state: StateSettings,
}

/// The settings of the service's state; an admin command needs no others.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,
}

/// The state that handlers, listeners and the worker share.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub consumers: ConsumerHealth,
    /// When the service was first started: mails are written about what came into being since.
    pub began_at: Time,
    /// Wakes the worker.
    pub wake_worker: Arc<Notify>,
    pub(crate) context: ServiceContext,
}

impl FromRef<HttpState<App>> for App {
    fn from_ref(state: &HttpState<App>) -> App {
        state.app.clone()
    }
}

impl App {
    /// Connects, and creates the indexes.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context =
            ServiceContext::connect("confirmation", &settings.context, clock.clone()).await?;
        let store = Store::open(&context.database, clock.clone()).await?;
        Ok(App {
            began_at: store.began_at(clock.now()).await?,
            store,
            clock,
            consumers: context.consumers.clone(),
            wake_worker: Arc::default(),
            context,
        })
    }

    /// The same state for listeners and background tasks, which have connections to MongoDB of their own.
    pub fn in_background(&self) -> App {
        App { store: self.store.in_background(&self.context.background), ..self.clone() }
    }
}
