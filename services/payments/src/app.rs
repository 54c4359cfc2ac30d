//! The map: every route, every listener and all background work of payments.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::Method;
use axum::routing::{get, post};
use clap::{Args, Parser};
use common::Clock;
use common::auth::Verifier;
use common::bus::{Feeds, Listeners};
use common::config::{FoundationSettings, ServerSettings};
use common::foundation::{Door, Foundation};
use common::operate::Operator;
use common::server::Service;
use tokio::sync::Notify;
use url::Url;

use crate::domain::Payment;
use crate::gateway::Gateway;
use crate::store::Store;
use crate::{answer, listeners, routes, worker};

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
    pub foundation: FoundationSettings,

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
    pub feeds: Feeds,
    /// How many declines end an order.
    pub attempts: i64,
    /// Wakes the worker.
    pub work: Arc<Notify>,
    foundation: Foundation,
}

impl FromRef<Door<App>> for App {
    fn from_ref(door: &Door<App>) -> App {
        door.app.clone()
    }
}

impl App {
    /// Connects, and makes the indexes before anything is asked of them.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let foundation =
            Foundation::connect("payments", &settings.foundation, clock.clone()).await?;
        Ok(App {
            store: Store::open(&foundation.database, clock.clone()).await?,
            gateway: Gateway::new(&settings.stripe_key, &settings.stripe_url)?,
            clock,
            feeds: foundation.feeds.clone(),
            attempts: settings.payment_attempts,
            work: Arc::default(),
            foundation,
        })
    }
}

pub fn routes(door: Door<App>) -> Router {
    Router::new()
        .route("/api/payments", post(routes::create::create).get(routes::list::list))
        .route("/api/payments/{id}", get(routes::show::show))
        .route("/api/payments/{id}/refund", post(routes::refund::refund))
        .with_state(door)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created::listen)
        .on(listeners::order_cancelled::listen)
        .on(listeners::order_completed::listen)
        .on(listeners::order_refund_required::listen)
}

pub fn service(app: App, verifier: Verifier) -> Service {
    app.foundation
        .service(routes(Door { app: app.clone(), verifier }))
        // A payment may take as long as Stripe does; then it is answered as unknown.
        .deadline_of(Method::POST, "/api/payments", answer::DEADLINE)
        .background(app.foundation.relay(&app.store.payments))
        .background(app.foundation.listen(listeners(app.clone())))
        .background(|stop| worker::run(app, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    let verifier = settings.server.verifier(&clock)?;
    Ok(service(App::connect(&settings.state, clock).await?, verifier))
}

/// What an operator's commands work with.
pub async fn operator(
    settings: StateSettings,
    clock: Clock,
) -> anyhow::Result<Operator<App, Payment>> {
    let app = App::connect(&settings, clock).await?;
    Ok(app.foundation.operator(listeners(app.clone()), &app.store.payments))
}
