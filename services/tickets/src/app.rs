//! The map: every setting, every route and every listener of the service.

use axum::Router;
use axum::middleware::map_response;
use axum::routing::get;
use bus::Listeners;
use common::Clock;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use service::Microservice;
use service::{AdminCommands, HttpState};

use crate::state::{App, Settings, StateSettings};
use crate::store::Stored;
use crate::{listeners, routes, view};

pub fn routes(door: HttpState<App>) -> Router {
    Router::new()
        .route("/api/tickets", get(routes::list).post(routes::create))
        .route("/api/tickets/{id}", get(routes::show).put(routes::edit).delete(routes::delete))
        .layer(map_response(view::vary))
        .with_state(door)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created)
        .on(listeners::order_cancelled)
        .on(listeners::order_completed)
}

/// The whole service: what is asked of it, what it hears, and what it tells.
pub fn service(app: App, verifier: Verifier) -> Service {
    app.context
        .service(routes(HttpState { app: app.clone(), verifier }))
        .background(app.context.relay(&app.store.tickets))
        .background(app.context.consume(listeners(app.clone())))
}

/// The service, as `main` runs it.
pub struct Tickets;

impl Microservice for Tickets {
    const NAME: &'static str = "tickets";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = Stored;

    fn server(settings: &Settings) -> &ServerSettings {
        &settings.server
    }

    async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
        let verifier = settings.server.verifier(&clock)?;
        Ok(service(App::connect(&settings.state, clock).await?, verifier))
    }

    async fn admin(
        settings: StateSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<App, Stored>> {
        let app = App::connect(&settings, clock).await?;
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), &app.store.tickets))
    }
}
