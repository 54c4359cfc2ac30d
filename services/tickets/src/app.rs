//! The map: every setting, every route and every listener of the service.

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::map_response;
use axum::routing::get;
use clap::Parser;
use common::Clock;
use common::auth::Verifier;
use common::bus::{Bus, Feeds, Listeners};
use common::config::{MarketSettings, MongoSettings, NatsSettings, ServerSettings};
use common::server::Service;
use mongodb::Database;

use crate::store::Store;
use crate::{listeners, routes, view};

/// Tickets for sale: offering, searching, editing and deleting them.
#[derive(Clone, Debug, Parser)]
#[command(name = "tickets")]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub mongo: MongoSettings,
    #[command(flatten)]
    pub nats: NatsSettings,
    #[command(flatten)]
    pub market: MarketSettings,
}

/// What the handlers and the listeners work with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub verifier: Verifier,
    pub market: MarketSettings,
    pub clock: Clock,
    database: Database,
    bus: Bus,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Verifier {
        app.verifier.clone()
    }
}

impl App {
    /// Connects to what it needs and makes the indexes.
    pub async fn connect(settings: &Settings, clock: Clock) -> anyhow::Result<App> {
        let Settings { server, mongo, nats, market } = settings;
        let database = common::mongo::connect(&mongo.mongo_uri, "tickets").await?;
        Ok(App {
            store: Store::open(&database, clock.clone()).await?,
            verifier: Verifier::from_file(
                &server.jwt_public_keys,
                &server.public_url,
                clock.clone(),
            )?,
            market: market.clone(),
            clock,
            bus: Bus::connect(nats, "tickets").await?,
            database,
        })
    }
}

pub fn routes(app: App) -> Router {
    Router::new()
        .route("/api/tickets", get(routes::list).post(routes::create))
        .route("/api/tickets/{id}", get(routes::show).put(routes::edit).delete(routes::delete))
        .layer(map_response(view::vary))
        .with_state(app)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created)
        .on(listeners::order_cancelled)
        .on(listeners::order_completed)
}

/// The whole service: what is asked of it, what it hears, and what it tells.
pub fn service(app: App) -> Service {
    let App { store, bus, clock, database, .. } = app.clone();
    let feeds = Feeds::of(&bus);
    Service::new("tickets", routes(app.clone()), database)
        .background(|stop| store.relay(bus, stop))
        .background(|stop| listeners(app).run(feeds, clock, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    Ok(service(App::connect(&settings, clock).await?))
}
