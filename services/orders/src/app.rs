//! The map: every route, listener and background task of orders.

use axum::Router;
use axum::routing::{get, put};
use bus::Listeners;
use common::Clock;
use common::events::Subject;
use http::Method;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::openapi;
use httpkit::settings::ServerSettings;
use service::Microservice;
use service::{AdminCommands, HttpState};

use crate::domain::Order;
use crate::openapi::SNAPSHOT;
use crate::promises::PROMISES;
use crate::state::{App, Settings, StateSettings};
use crate::{listeners, routes, sweep};

pub fn routes(state: HttpState<App>) -> Router {
    Router::new()
        .route("/api/orders/openapi.json", openapi::serve(SNAPSHOT))
        .route("/api/orders", get(routes::list::handle).post(routes::create::handle))
        .route("/api/orders/problems", get(routes::problems::handle))
        .route("/api/orders/{id}", get(routes::show::handle).delete(routes::cancel::handle))
        .route("/api/orders/{id}/history", get(routes::history::handle))
        .route("/api/orders/{id}/handover", put(routes::handover::handle))
        .with_state(state)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::ticket_created::handle)
        .on(listeners::ticket_updated::handle)
        .on(listeners::ticket_deleted::handle)
        .on(listeners::ticket_reserved::handle)
        .on(listeners::expiration_complete::handle)
        .on(listeners::payment_created::handle)
        .on(listeners::payment_captured::handle)
        .on(listeners::payment_failed::handle)
        .on(listeners::payment_released::handle)
        .on(listeners::payment_refunded::handle)
        .on(listeners::payment_disputed::handle)
        .on(listeners::user_created::handle)
        .on(listeners::user_updated::handle)
        .together(&[Subject::TicketCreated, Subject::TicketUpdated], listeners::follow_tickets)
        .together(&[Subject::TicketReserved], listeners::confirm_all_reserved)
        .together(&[Subject::PaymentCreated, Subject::PaymentCaptured], listeners::answer_all)
}

/// Buyers with an order can pay it or cancel it while these are shed.
const SHED_FIRST: [(Method, &str); 2] =
    [(Method::POST, "/api/orders"), (Method::GET, "/api/orders")];

pub fn service(app: App, verifier: Verifier) -> Service {
    app.context
        .service_with_sessions(
            routes(HttpState { app: app.clone(), verifier: verifier.clone() }),
            &verifier,
        )
        .shed_first(&SHED_FIRST)
        .background("relay", app.context.relay(app.store.documents()))
        .background("promises", app.context.watch(&PROMISES))
        .background("consumers", app.context.consume(listeners(app.in_background())))
        .background("sweep", move |stop| sweep::run(app.in_background(), stop))
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
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), app.store.documents()))
    }
}
