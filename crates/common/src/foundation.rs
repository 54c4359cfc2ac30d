//! What a service that keeps something stands on: its database, the bus and the time. Served or
//! operated, each service begins here.

use axum::Router;
use axum::extract::FromRef;
use futures::future::BoxFuture;
use mongodb::Database;
use tokio_util::sync::CancellationToken;

use crate::auth::Verifier;
use crate::bus::{Aggregate, Aggregates, Bus, Feeds, Listeners};
use crate::clock::Clock;
use crate::config::FoundationSettings;
use crate::mongo;
use crate::operate::Operator;
use crate::server::Service;

#[derive(Clone)]
pub struct Foundation {
    pub name: &'static str,
    pub database: Database,
    pub bus: Bus,
    pub feeds: Feeds,
    pub clock: Clock,
}

impl Foundation {
    /// Connects. MongoDB must answer, and be set to keep what it acknowledges; NATS may be down, and is
    /// connected to in the background.
    pub async fn connect(
        name: &'static str,
        settings: &FoundationSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let uri = &settings.mongo.mongo_uri;
        let database = mongo::connect(uri, name).await?;
        mongo::check(uri, &database).await?;
        let bus = Bus::connect(&settings.nats, name).await?;
        Ok(Foundation { name, database, feeds: Feeds::of(&bus), bus, clock })
    }

    /// The service that answers at these routes.
    pub fn service(&self, routes: Router) -> Service {
        let bus = self.bus.clone();
        if !bus.has_monitor() {
            tracing::warn!("NATS_MONITOR_URL isn't set: how NATS is set isn't checked");
        }
        Service::new(self.name, routes, self.database.clone()).checked("nats", move || {
            let bus = bus.clone();
            async move { bus.check().await }
        })
    }

    /// Background work: publishes what waits in these things' outboxes.
    pub fn relay<T: Aggregate>(&self, things: &Aggregates<T>) -> impl Background {
        let (things, bus) = (things.clone(), self.bus.clone());
        move |stop| Box::pin(things.relay(bus, stop))
    }

    /// Background work: hears what the others tell.
    ///
    /// # Panics
    ///
    /// When the catalogue doesn't know that this service hears a stream: NATS wouldn't let it.
    pub fn listen<S>(&self, listeners: Listeners<S>) -> impl Background
    where
        S: Clone + Send + Sync + 'static,
    {
        for stream in listeners.streams() {
            let known = stream.listeners().contains(&self.name);
            assert!(known, "{} isn't among the listeners of {stream:?}", self.name);
        }
        let (feeds, clock) = (self.feeds.clone(), self.clock.clone());
        move |stop| Box::pin(listeners.run(feeds, clock, stop))
    }

    /// What an operator's commands work with: the listeners that may have failed, and the things that can
    /// be told again.
    pub fn operator<S, T>(&self, listeners: Listeners<S>, things: &Aggregates<T>) -> Operator<S, T>
    where
        S: Clone + Send + Sync + 'static,
        T: Aggregate,
    {
        Operator::new(self.clone(), listeners, things.clone())
    }
}

/// What [`Service::background`] takes.
pub trait Background: FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + 'static {}

impl<F: FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + 'static> Background for F {}

/// What a service's routes work with: its state, and who tells whoever knocks from a stranger.
#[derive(Clone)]
pub struct Door<App> {
    pub app: App,
    pub verifier: Verifier,
}

impl<App> FromRef<Door<App>> for Verifier {
    fn from_ref(door: &Door<App>) -> Verifier {
        door.verifier.clone()
    }
}
