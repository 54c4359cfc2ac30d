//! The map: every route, every listener and all background work of orders.

use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use clap::Parser;
use common::Clock;
use common::auth::Verifier;
use common::bus::{Bus, Feeds, Listeners};
use common::config::{MongoSettings, NatsSettings, ServerSettings};
use common::server::Service;

use crate::store::Store;
use crate::{listeners, routes, sweep};

/// orders: who holds a ticket, until when, and who has bought it
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub mongo: MongoSettings,
    #[command(flatten)]
    pub nats: NatsSettings,

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
    pub feeds: Feeds,
    pub reservation: Duration,
    bus: Bus,
    verifier: Verifier,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Verifier {
        app.verifier.clone()
    }
}

impl App {
    /// Connects, and makes the unique indexes before anything is asked of them.
    pub async fn connect(settings: &Settings, clock: Clock) -> anyhow::Result<App> {
        let server = &settings.server;
        let verifier =
            Verifier::from_file(&server.jwt_public_keys, &server.public_url, clock.clone())?;
        let bus = Bus::connect(&settings.nats, "orders").await?;
        let database = common::mongo::connect(&settings.mongo.mongo_uri, "orders").await?;
        Ok(App {
            store: Store::open(database, clock.clone()).await?,
            clock,
            feeds: Feeds::of(&bus),
            reservation: Duration::from_secs(settings.reservation_seconds),
            bus,
            verifier,
        })
    }
}

pub fn routes(app: App) -> Router {
    Router::new()
        .route("/api/orders", get(routes::list::list).post(routes::create::create))
        .route("/api/orders/{id}", get(routes::show::show).delete(routes::cancel::cancel))
        .with_state(app)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::ticket_created::listen)
        .on(listeners::ticket_updated::listen)
        .on(listeners::ticket_deleted::listen)
        .on(listeners::expiration_complete::listen)
        .on(listeners::payment_created::listen)
        .on(listeners::payment_failed::listen)
        .on(listeners::payment_refunded::listen)
        .on(listeners::user_created::listen)
        .on(listeners::user_updated::listen)
}

pub fn service(app: App) -> Service {
    let (orders, bus) = (app.store.orders.clone(), app.bus.clone());
    let (feeds, clock) = (app.feeds.clone(), app.clock.clone());
    let (listeners, sweeping) = (listeners(app.clone()), app.clone());
    Service::new("orders", routes(app.clone()), app.store.database.clone())
        .background(move |stop| orders.relay(bus, stop))
        .background(move |stop| listeners.run(feeds, clock, stop))
        .background(move |stop| sweep::run(sweeping, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    Ok(service(App::connect(&settings, clock).await?))
}
