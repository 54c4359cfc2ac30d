//! The map: every setting, every listener and all background work of expiration. It has no routes.

use axum::Router;
use clap::Parser;
use common::Clock;
use common::bus::{Bus, Feeds, Listeners};
use common::config::{MongoSettings, NatsSettings, ServerSettings};
use common::server::Service;

use crate::store::Store;
use crate::timers::Timers;
use crate::{firing, listeners};

/// expiration: when each hold runs out
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub mongo: MongoSettings,
    #[command(flatten)]
    pub nats: NatsSettings,

    /// The timer queue; what it has is in MongoDB too, so that it may lose it
    #[arg(long, env = "REDIS_URL")]
    pub redis_url: String,
}

/// What the listeners and the background work use.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub timers: Timers,
    pub clock: Clock,
    feeds: Feeds,
    bus: Bus,
}

impl App {
    /// Connects, and makes the indexes before anything is heard. Redis and NATS are connected to in the
    /// background: it starts while they are down.
    pub async fn connect(settings: &Settings, clock: Clock) -> anyhow::Result<App> {
        let bus = Bus::connect(&settings.nats, "expiration").await?;
        let database = common::mongo::connect(&settings.mongo.mongo_uri, "expiration").await?;
        Ok(App {
            store: Store::open(database, clock.clone()).await?,
            timers: Timers::new(&settings.redis_url)?,
            clock,
            feeds: Feeds::of(&bus),
            bus,
        })
    }
}

pub fn routes(_app: App) -> Router {
    Router::new()
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created::listen)
        .on(listeners::order_cancelled::listen)
        .on(listeners::order_completed::listen)
}

pub fn service(app: App) -> Service {
    let (schedules, bus) = (app.store.schedules.clone(), app.bus.clone());
    let (feeds, clock) = (app.feeds.clone(), app.clock.clone());
    let (listeners, polling, sweeping) = (listeners(app.clone()), app.clone(), app.clone());
    Service::new("expiration", routes(app.clone()), app.store.database)
        .background(move |stop| schedules.relay(bus, stop))
        .background(move |stop| listeners.run(feeds, clock, stop))
        .background(move |stop| firing::poll(polling, stop))
        .background(move |stop| firing::sweep(sweeping, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    Ok(service(App::connect(&settings, clock).await?))
}
