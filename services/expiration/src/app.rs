//! The map: every setting, every listener and all background work of expiration. It has no routes.

use axum::Router;
use clap::{Args, Parser};
use common::Clock;
use common::bus::Listeners;
use common::config::{FoundationSettings, ServerSettings};
use common::foundation::Foundation;
use common::operate::Operator;
use common::server::Service;

use crate::domain::Schedule;
use crate::store::Store;
use crate::timers::Timers;
use crate::{firing, listeners};

/// expiration: when each hold runs out
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
    foundation: Foundation,
}

impl App {
    /// Connects, and makes the indexes before anything is heard. Redis and NATS are connected to in the
    /// background: it starts while they are down.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let foundation =
            Foundation::connect("expiration", &settings.foundation, clock.clone()).await?;
        Ok(App {
            store: Store::open(&foundation.database, clock.clone()).await?,
            timers: Timers::new(&settings.redis_url)?,
            clock,
            foundation,
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
    let (timers, polling, sweeping) = (app.timers.clone(), app.clone(), app.clone());
    app.foundation
        .service(routes(app.clone()))
        .checked("redis", move || timers.clone().check())
        .background(app.foundation.relay(&app.store.schedules))
        .background(app.foundation.listen(listeners(app.clone())))
        .background(|stop| firing::poll(polling, stop))
        .background(|stop| firing::sweep(sweeping, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    Ok(service(App::connect(&settings.state, clock).await?))
}

/// What an operator's commands work with.
pub async fn operator(
    settings: StateSettings,
    clock: Clock,
) -> anyhow::Result<Operator<App, Schedule>> {
    let app = App::connect(&settings, clock).await?;
    Ok(app.foundation.operator(listeners(app.clone()), &app.store.schedules))
}
