//! The map: every route, every listener and all background work of orders.

use axum::Router;
use axum::routing::get;
use bus::Listeners;
use common::Clock;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use service::Microservice;
use service::{AdminCommands, HttpState};

use crate::domain::Order;
use crate::state::{App, Settings, StateSettings};
use crate::{listeners, routes, sweep};

pub fn routes(door: HttpState<App>) -> Router {
    Router::new()
        .route("/api/orders", get(routes::list::list).post(routes::create::create))
        .route("/api/orders/{id}", get(routes::show::show).delete(routes::cancel::cancel))
        .with_state(door)
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

pub fn service(app: App, verifier: Verifier) -> Service {
    app.context
        .service(routes(HttpState { app: app.clone(), verifier }))
        .background(app.context.relay(&app.store.orders))
        .background(app.context.consume(listeners(app.clone())))
        .background(|stop| sweep::run(app, stop))
}

/// The service, as `main` runs it.
pub struct Orders;

impl Microservice for Orders {
    const NAME: &'static str = "orders";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = Order;

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
    ) -> anyhow::Result<AdminCommands<App, Order>> {
        let app = App::connect(&settings, clock).await?;
        let admin = AdminCommands::new(&app.context, listeners(app.clone()), &app.store.orders);
        Ok(admin.bumping(move |run| async move { Ok(app.store.raise_holds(&run).await?) }))
    }
}
