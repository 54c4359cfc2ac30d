//! The map: every setting, every listener and all background work of expiration. It has no routes.

use axum::Router;
use bus::Listeners;
use common::Clock;
use httpkit::Service;
use httpkit::settings::ServerSettings;
use service::AdminCommands;
use service::Microservice;

use crate::domain::Schedule;
use crate::state::{App, Settings, StateSettings};
use crate::{firing, listeners};

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
    let service = app.context.service(routes(app.clone()));
    app.context
        .with_durability_check(service, "redis", move || timers.clone().check())
        .background(app.context.relay(&app.store.schedules))
        .background(app.context.consume(listeners(app.clone())))
        .background(|stop| firing::poll(polling, stop))
        .background(|stop| firing::sweep(sweeping, stop))
}

/// The service, as `main` runs it.
pub struct Expiration;

impl Microservice for Expiration {
    const NAME: &'static str = "expiration";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = Schedule;

    fn server(settings: &Settings) -> &ServerSettings {
        &settings.server
    }

    async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
        Ok(service(App::connect(&settings.state, clock).await?))
    }

    async fn admin(
        settings: StateSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<App, Schedule>> {
        let app = App::connect(&settings, clock).await?;
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), &app.store.schedules))
    }
}
