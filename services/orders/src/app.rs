//! The map: every route, every listener and all background work of orders.

use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use clap::{Args, Parser};
use common::Clock;
use common::auth::Verifier;
use common::bus::{Feeds, Listeners};
use common::config::{FoundationSettings, ServerSettings};
use common::foundation::{Door, Foundation};
use common::operate::Operator;
use common::server::Service;

use crate::domain::Order;
use crate::store::Store;
use crate::{listeners, routes, sweep};

/// orders: who holds a ticket, until when, and who has bought it
#[derive(Clone, Debug, Parser)]
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

    /// How long a buyer holds a ticket, in seconds
    #[arg(long, env = "RESERVATION_SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub reservation_seconds: u64,
}

/// What the handlers and listeners work with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub feeds: Feeds,
    pub reservation: Duration,
    foundation: Foundation,
}

impl FromRef<Door<App>> for App {
    fn from_ref(door: &Door<App>) -> App {
        door.app.clone()
    }
}

impl App {
    /// Connects, and makes the unique indexes before anything is asked of them.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let foundation = Foundation::connect("orders", &settings.foundation, clock.clone()).await?;
        Ok(App {
            store: Store::open(&foundation.database, clock.clone()).await?,
            clock,
            feeds: foundation.feeds.clone(),
            reservation: Duration::from_secs(settings.reservation_seconds),
            foundation,
        })
    }
}

pub fn routes(door: Door<App>) -> Router {
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
    app.foundation
        .service(routes(Door { app: app.clone(), verifier }))
        .background(app.foundation.relay(&app.store.orders))
        .background(app.foundation.listen(listeners(app.clone())))
        .background(|stop| sweep::run(app, stop))
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    let verifier = settings.server.verifier(&clock)?;
    Ok(service(App::connect(&settings.state, clock).await?, verifier))
}

/// What an operator's commands work with.
pub async fn operator(
    settings: StateSettings,
    clock: Clock,
) -> anyhow::Result<Operator<App, Order>> {
    let app = App::connect(&settings, clock).await?;
    let operator = app.foundation.operator(listeners(app.clone()), &app.store.orders);
    Ok(operator.raising(move |run| async move { Ok(app.store.raise_holds(&run).await?) }))
}
