//! The map: every route, every listener and all background work of payments.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::Method;
use axum::routing::{get, post};
use clap::Parser;
use common::Clock;
use common::auth::Verifier;
use common::bus::{Bus, Feeds, Listeners};
use common::config::{MongoSettings, NatsSettings, ServerSettings};
use common::server::Service;
use tokio::sync::Notify;
use url::Url;

use crate::gateway::Gateway;
use crate::store::Store;
use crate::{answer, listeners, routes, worker};

/// payments: charges and refunds
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub mongo: MongoSettings,
    #[command(flatten)]
    pub nats: NatsSettings,

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
    bus: Bus,
    verifier: Verifier,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Verifier {
        app.verifier.clone()
    }
}

impl App {
    /// Connects, and makes the indexes before anything is asked of them.
    pub async fn connect(settings: &Settings, clock: Clock) -> anyhow::Result<App> {
        let server = &settings.server;
        let verifier =
            Verifier::from_file(&server.jwt_public_keys, &server.public_url, clock.clone())?;
        let bus = Bus::connect(&settings.nats, "payments").await?;
        let database = common::mongo::connect(&settings.mongo.mongo_uri, "payments").await?;
        Ok(App {
            store: Store::open(database, clock.clone()).await?,
            gateway: Gateway::new(&settings.stripe_key, &settings.stripe_url)?,
            clock,
            feeds: Feeds::of(&bus),
            attempts: settings.payment_attempts,
            work: Arc::default(),
            bus,
            verifier,
        })
    }
}

pub fn routes(app: App) -> Router {
    Router::new()
        .route("/api/payments", post(routes::create::create).get(routes::list::list))
        .route("/api/payments/{id}", get(routes::show::show))
        .route("/api/payments/{id}/refund", post(routes::refund::refund))
        .with_state(app)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created::listen)
        .on(listeners::order_cancelled::listen)
        .on(listeners::order_completed::listen)
        .on(listeners::order_refund_required::listen)
}

pub fn service(app: App) -> Service {
    let (payments, bus) = (app.store.payments.clone(), app.bus.clone());
    let (feeds, clock) = (app.feeds.clone(), app.clock.clone());
    let (listeners, working) = (listeners(app.clone()), app.clone());
    Service::new("payments", routes(app.clone()), app.store.database.clone())
        // A payment may take as long as Stripe does; then it is answered as unknown.
        .deadline_of(Method::POST, "/api/payments", answer::DEADLINE)
        .background(move |stop| payments.relay(bus, stop))
        .background(move |stop| listeners.run(feeds, clock, stop))
        .background(move |stop| worker::run(working, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    Ok(service(App::connect(&settings, clock).await?))
}
