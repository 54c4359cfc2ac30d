//! The map: every route, every listener and all background work of payments.

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use bus::Listeners;
use common::Clock;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use service::Microservice;
use service::{AdminCommands, HttpState};

use crate::domain::Payment;
use crate::state::{App, Settings, StateSettings};
use crate::{answer, listeners, routes, worker};

pub fn routes(door: HttpState<App>) -> Router {
    Router::new()
        .route("/api/payments", post(routes::create::create).get(routes::list::list))
        .route("/api/payments/{id}", get(routes::show::show))
        .route("/api/payments/{id}/refund", post(routes::refund::refund))
        .with_state(door)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created::listen)
        .on(listeners::order_cancelled::listen)
        .on(listeners::order_completed::listen)
        .on(listeners::order_refund_required::listen)
}

pub fn service(app: App, verifier: Verifier) -> Service {
    app.context
        .service(routes(HttpState { app: app.clone(), verifier }))
        // A payment may take as long as Stripe does; then it is answered as unknown.
        .route_timeout(Method::POST, "/api/payments", answer::DEADLINE)
        .background(app.context.relay(&app.store.payments))
        .background(app.context.consume(listeners(app.clone())))
        .background(|stop| worker::run(app, stop))
}

/// The service, as `main` runs it.
pub struct Payments;

impl Microservice for Payments {
    const NAME: &'static str = "payments";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = Payment;

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
    ) -> anyhow::Result<AdminCommands<App, Payment>> {
        let app = App::connect(&settings, clock).await?;
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), &app.store.payments))
    }
}
