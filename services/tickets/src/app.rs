//! The map: every setting, every route and every listener of the service.

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::map_response;
use axum::routing::get;
use clap::{Args, Parser};
use common::Clock;
use common::auth::Verifier;
use common::bus::Listeners;
use common::config::{FoundationSettings, MarketSettings, ServerSettings};
use common::foundation::{Door, Foundation};
use common::operate::Operator;
use common::server::Service;

use crate::store::{Store, Stored};
use crate::{listeners, routes, view};

/// Tickets for sale: offering, searching, editing and deleting them.
#[derive(Clone, Debug, Parser)]
#[command(name = "tickets")]
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
    #[command(flatten)]
    pub market: MarketSettings,
}

/// What the handlers and the listeners work with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub market: MarketSettings,
    pub clock: Clock,
    foundation: Foundation,
}

impl FromRef<Door<App>> for App {
    fn from_ref(door: &Door<App>) -> App {
        door.app.clone()
    }
}

impl App {
    /// Connects to what it needs and makes the indexes.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let foundation =
            Foundation::connect("tickets", &settings.foundation, clock.clone()).await?;
        Ok(App {
            store: Store::open(&foundation.database, clock.clone()).await?,
            market: settings.market.clone(),
            clock,
            foundation,
        })
    }
}

pub fn routes(door: Door<App>) -> Router {
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
    app.foundation
        .service(routes(Door { app: app.clone(), verifier }))
        .background(app.foundation.relay(&app.store.tickets))
        .background(app.foundation.listen(listeners(app.clone())))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    let verifier = settings.server.verifier(&clock)?;
    Ok(service(App::connect(&settings.state, clock).await?, verifier))
}

/// What an operator's commands work with.
pub async fn operator(
    settings: StateSettings,
    clock: Clock,
) -> anyhow::Result<Operator<App, Stored>> {
    let app = App::connect(&settings, clock).await?;
    Ok(app.foundation.operator(listeners(app.clone()), &app.store.tickets))
}
