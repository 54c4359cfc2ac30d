//! The map: every route, every listener and the background tasks of the service.

use admissions::AdmissionKeys;
use axum::middleware::map_response;
use axum::routing::{self, get, post};
use axum::{Extension, Router};
use bus::Listeners;
use common::Clock;
use common::events::Subject;
use http::Method;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::openapi;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, HttpState, Microservice};

use crate::listeners::{follow_all, order_cancelled, order_completed, order_created, user_updated};
use crate::openapi::SNAPSHOT;
use crate::promises::PROMISES;
use crate::routes::{
    admission_codes, checkin, checkins, create, delete, dismiss, door, edit, invitation, join,
    list, show,
};
use crate::state::{App, Settings, StateSettings};
use crate::store::TicketDocument;
use crate::{search_index, summaries, view};

pub fn routes(state: HttpState<App>, keys: AdmissionKeys) -> Router {
    Router::new()
        .route("/api/orders/{id}/admissions", get(admission_codes::handle))
        .route("/api/orders/{id}/checkins", get(checkins::handle))
        .route("/api/tickets/{id}/checkin", post(checkin::handle))
        .route("/api/tickets/{id}/door", get(door::handle))
        .route("/api/tickets/{id}/door/invitation", post(invitation::handle))
        .route("/api/tickets/{id}/door/staff", post(join::handle))
        .route("/api/tickets/{id}/door/staff/{user}", routing::delete(dismiss::handle))
        .route("/api/tickets/openapi.json", openapi::serve(SNAPSHOT))
        .route("/api/tickets", get(list::handle).post(create::handle))
        .route("/api/tickets/{id}", get(show::handle).put(edit::handle).delete(delete::handle))
        .layer(map_response(view::vary_by_cookie))
        .layer(Extension(keys))
        .with_state(state)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(order_created::handle)
        .on(order_cancelled::handle)
        .on(order_completed::handle)
        .on(user_updated::handle)
        .together(
            &[Subject::OrderCreated, Subject::OrderCancelled, Subject::OrderCompleted],
            follow_all,
        )
}

/// The door is open, and sellers can edit, while these are shed.
const SHED_FIRST: [(Method, &str); 2] =
    [(Method::GET, "/api/tickets"), (Method::GET, "/api/tickets/{id}")];

/// The whole service: its routes, its relay and its consumers.
pub fn service(app: App, verifier: Verifier, keys: AdmissionKeys) -> Service {
    let of_search = app.in_background();
    app.context
        .service_with_sessions(
            routes(HttpState { app: app.clone(), verifier: verifier.clone() }, keys),
            &verifier,
        )
        .shed_first(&SHED_FIRST)
        .background("relay", app.context.relay(app.store.documents()))
        .background("promises", app.context.watch(&PROMISES))
        .background("relay of reservations", app.context.relay(app.store.reservations()))
        .background("consumers", app.context.consume(listeners(app.in_background())))
        .background("search index", move |stop| search_index::run(of_search, stop))
        .background("summaries", move |stop| summaries::run(app.in_background(), stop))
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
        let keys = settings.admissions.read()?;
        Ok(service(App::connect(&settings.state, clock).await?, verifier, keys))
    }

    async fn admin(
        settings: StateSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<App, TicketDocument>> {
        let app = App::connect(&settings, clock).await?;
        let admin = AdminCommands::new(&app.context, listeners(app.clone()), app.store.documents());
        Ok(admin.with_documents(app.store.reservations()))
    }
}
