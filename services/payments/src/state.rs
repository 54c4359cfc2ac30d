//! What the service is configured with, and what its handlers, listeners and tasks work with.

use std::sync::Arc;

use axum::extract::FromRef;
use bus::ConsumerHealth;
use clap::{Args, Parser};
use common::Clock;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, HttpState, ServiceContext};
use tokio::sync::Notify;
use url::Url;

use crate::gateway::Gateway;
use crate::store::Store;

/// payments: charges and refunds
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

    /// Stripe's secret key (sk_…)
    #[arg(long, env = "STRIPE_KEY", hide_env_values = true)]
    pub stripe_key: String,

    /// Where Stripe's API is, if not at Stripe: the local double's address
    #[arg(long, env = "STRIPE_URL", default_value = "https://api.stripe.com/")]
    pub stripe_url: Url,

    /// How many declined cards end an order
    #[arg(long, env = "PAYMENT_ATTEMPTS", default_value_t = 3,
          value_parser = clap::value_parser!(i64).range(1..=20))]
    pub payment_attempts: i64,
}

/// What the handlers, listeners and the worker work with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub gateway: Gateway,
    pub clock: Clock,
    pub consumers: ConsumerHealth,
    /// How many declines end an order.
    pub attempts: i64,
    /// Wakes the worker.
    pub work: Arc<Notify>,
    pub(crate) context: ServiceContext,
}

impl FromRef<HttpState<App>> for App {
    fn from_ref(door: &HttpState<App>) -> App {
        door.app.clone()
    }
}

impl App {
    /// Connects, and makes the indexes before anything is asked of them.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context = ServiceContext::connect("payments", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            gateway: Gateway::new(&settings.stripe_key, &settings.stripe_url)?,
            clock,
            consumers: context.consumers.clone(),
            attempts: settings.payment_attempts,
            work: Arc::default(),
            context,
        })
    }
}
