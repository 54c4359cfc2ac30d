//! The map: every listener and background task of the service. It has no routes: it only consumes and publishes events.

use axum::Router;
use bus::Listeners;
use common::Clock;
use common::events::Subject;
use httpkit::Service;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, Microservice};

use crate::domain::Schedule;
use crate::expiry_worker;
use crate::listeners::{follow_all, order_cancelled, order_completed, order_created};
use crate::promises::PROMISES;
use crate::state::{App, Settings, StateSettings};

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(order_created::handle)
        .on(order_cancelled::handle)
        .on(order_completed::handle)
        .together(
            &[Subject::OrderCreated, Subject::OrderCancelled, Subject::OrderCompleted],
            follow_all,
        )
}

/// The whole service: its relay, its consumers and its workers.
pub fn service(app: App) -> Service {
    let app = app.in_background();
    let (timers, polling, sweeping) = (app.timers.clone(), app.clone(), app.clone());
    let service = app.context.service(Router::new());
    app.context
        .with_durability_check(service, "redis", move || timers.clone().check_durability())
        .background("relay", app.context.relay(app.store.documents()))
        .background("promises", app.context.watch(&PROMISES))
        .background("consumers", app.context.consume(listeners(app.clone())))
        .background("timers", |stop| expiry_worker::poll(polling, stop))
        .background("sweep", |stop| expiry_worker::sweep(sweeping, stop))
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
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), app.store.documents()))
    }
}
