//! The service's settings, and the state that its handlers, listeners and background tasks share.

use std::sync::Arc;

use axum::extract::FromRef;
use bus::ConsumerHealth;
use clap::{Args, Parser};
use common::Clock;
use common::ids::OrderId;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, HttpState, ServiceContext};
use tokio::sync::Notify;
use url::Url;

use crate::domain::Limits;
use crate::executions::Executions;
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

/// The settings of the service's state; an admin command needs no others.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,

    /// Stripe's secret key (sk_…)
    #[arg(long, env = "STRIPE_KEY", hide_env_values = true)]
    pub stripe_key: String,

    /// The base URL of Stripe's API, or of the local double
    #[arg(long, env = "STRIPE_URL", default_value = "https://api.stripe.com/")]
    pub stripe_url: Url,

    /// The secrets that sign Stripe's webhooks (whsec_…), several separated by commas while one is replaced;
    /// without any, webhooks are refused
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, value_delimiter = ',')]
    pub stripe_webhook_secret: Vec<String>,

    /// Where users reach the website: the buyer's bank sends them back to it
    #[arg(long, env = "PUBLIC_URL", default_value = "http://localhost:8080")]
    pub return_to: Url,

    /// How many declined cards end an order
    #[arg(long, env = "PAYMENT_ATTEMPTS", default_value_t = 3,
          value_parser = clap::value_parser!(i64).range(1..=20))]
    pub payment_attempts: i64,

    /// How many cards of one buyer may be declined within a day, for whichever orders
    #[arg(long, env = "DECLINES_PER_DAY", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub declines_per_day: u32,
}

/// The state that handlers, listeners and the background worker share.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub gateway: Gateway,
    pub clock: Clock,
    pub consumers: ConsumerHealth,
    pub limits: Limits,
    pub declines_per_day: usize,
    return_to: Url,
    pub webhook_secrets: Arc<[String]>,
    /// Wakes the task that works on webhooks.
    pub wake_webhooks: Arc<Notify>,
    /// Wakes the background worker.
    pub wake_worker: Arc<Notify>,
    /// What this process executes in the background.
    pub executions: Executions,
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
        let context = ServiceContext::connect("payments", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            gateway: Gateway::new(&settings.stripe_key, &settings.stripe_url)?,
            clock,
            consumers: context.consumers.clone(),
            limits: Limits { max_declines: settings.payment_attempts },
            declines_per_day: usize::try_from(settings.declines_per_day)?,
            webhook_secrets: settings
                .stripe_webhook_secret
                .iter()
                .filter(|secret| !secret.is_empty())
                .cloned()
                .collect(),
            wake_webhooks: Arc::default(),
            return_to: settings.return_to.clone(),
            wake_worker: Arc::default(),
            executions: Executions::default(),
            context,
        })
    }

    /// Where the buyer's bank sends the buyer back to.
    pub fn return_url(&self, order: OrderId) -> String {
        let base = self.return_to.as_str().trim_end_matches('/');
        format!("{base}/orders/{order}/return")
    }

    /// The same state for listeners and background tasks, which have connections to MongoDB of their own.
    pub fn in_background(&self) -> App {
        App { store: self.store.in_background(&self.context.background), ..self.clone() }
    }
}
