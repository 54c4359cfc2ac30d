//! The map: every route, every listener and the background tasks of the service.

use axum::Router;
use axum::middleware::map_response;
use axum::routing::get;
use bus::Listeners;
use common::Clock;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, HttpState, Microservice};

use crate::listeners::{order_cancelled, order_completed, order_created};
use crate::routes::{create, delete, edit, list, show};
use crate::state::{App, Settings, StateSettings};
use crate::store::TicketDocument;
use crate::view;

pub fn routes(state: HttpState<App>) -> Router {
    Router::new()
        .route("/api/tickets", get(list::handle).post(create::handle))
        .route("/api/tickets/{id}", get(show::handle).put(edit::handle).delete(delete::handle))
        .layer(map_response(view::vary_by_cookie))
        .with_state(state)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(order_created::handle)
        .on(order_cancelled::handle)
        .on(order_completed::handle)
}

/// The whole service: its routes, its relay and its consumers.
pub fn service(app: App, verifier: Verifier) -> Service {
    app.context
        .service(routes(HttpState { app: app.clone(), verifier }))
        .background("relay", app.context.relay(app.store.documents()))
        .background("consumers", app.context.consume(listeners(app.in_background())))
}

/// The service, as `main` runs it.
pub struct Tickets;

impl Microservice for Tickets {
    const NAME: &'static str = "tickets";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = TicketDocument;

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
    ) -> anyhow::Result<AdminCommands<App, TicketDocument>> {
        let app = App::connect(&settings, clock).await?;
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), app.store.documents()))
    }
}
