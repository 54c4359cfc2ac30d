//! The map: every route, every listener and all background work of payments.

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use bus::Listeners;
use common::Clock;
use common::events::Subject;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::openapi;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, HttpState, Microservice};

use crate::domain::OrderPayment;
use crate::openapi::SNAPSHOT;
use crate::promises::PROMISES;
use crate::state::{App, Settings, StateSettings};
use crate::{admin, listeners, response, routes, sweep, webhooks, worker};

pub fn routes(state: HttpState<App>) -> Router {
    Router::new()
        .route("/api/payments/openapi.json", openapi::serve(SNAPSHOT))
        .route("/api/payments", post(routes::create::handle).get(routes::list::handle))
        .route("/api/payments/webhook", post(routes::webhook::handle))
        .route("/api/payments/{id}", get(routes::show::handle))
        .route("/api/payments/{id}/history", get(routes::history::handle))
        .route("/api/payments/{id}/refresh", post(routes::refresh::handle))
        .route("/api/payments/{id}/refund", post(routes::refund::handle))
        .with_state(state)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::order_created::handle)
        .on(listeners::order_cancelled::handle)
        .on(listeners::order_updated::handle)
        .on(listeners::order_completed::handle)
        .on(listeners::order_refund_required::handle)
        .together(
            &[
                Subject::OrderCreated,
                Subject::OrderUpdated,
                Subject::OrderCompleted,
                Subject::OrderCancelled,
            ],
            listeners::follow_all,
        )
}

pub fn service(app: App, verifier: Verifier) -> Service {
    app.context
        .service_with_sessions(
            routes(HttpState { app: app.clone(), verifier: verifier.clone() }),
            &verifier,
        )
        // A payment may take as long as Stripe does; after that the response is *processing*.
        .route_timeout(Method::POST, "/api/payments", response::DEADLINE)
        .background("relay", app.context.relay(app.store.documents()))
        .background("promises", app.context.watch(&PROMISES))
        .background("consumers", app.context.consume(listeners(app.in_background())))
        .background("sweep", {
            let app = app.in_background();
            move |stop| sweep::run(app, stop)
        })
        .background("webhooks", {
            let app = app.in_background();
            move |stop| webhooks::run(app, stop)
        })
        .background("worker", move |stop| worker::run(app.in_background(), stop))
}

/// The service that `main` runs.
pub struct Payments;

impl Microservice for Payments {
    const NAME: &'static str = "payments";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = OrderPayment;

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
    ) -> anyhow::Result<AdminCommands<App, OrderPayment>> {
        let app = App::connect(&settings, clock).await?;
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), app.store.documents()))
    }

    fn own_commands() -> Vec<clap::Command> {
        admin::commands()
    }
}
