//! What a service that stores something works with: its database, the bus and the time, whether it serves or runs an
//! admin command.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use bus::{Bus, ConsumerHealth, Listeners};
use common::Clock;
use common::back_off::back_off;
use common::durability::DurabilityError;
use common::events::Subject;
use futures::future::BoxFuture;
use httpkit::auth::Verifier;
use httpkit::{Revocations, Service};
use mongodb::Database;
use store::{Aggregate, Documents, Promise, RevocationCopy, mongo};
use tokio_util::sync::CancellationToken;

use crate::durability::check_until_reachable;
use crate::revocations::RevocationFeed;
use crate::settings::ContextSettings;

/// A service's connections, and its name.
#[derive(Clone)]
pub struct ServiceContext {
    pub name: &'static str,
    pub database: Database,
    /// The same database through the connections of the background tasks.
    pub background: Database,
    pub bus: Bus,
    pub consumers: ConsumerHealth,
    pub clock: Clock,
    /// Those that were live when the process was started.
    revocations: Revocations,
    revocation_copy: RevocationCopy,
}

impl ServiceContext {
    /// Connects. MongoDB must be configured to keep what it acknowledges, and is waited for while it is down; NATS may be
    /// down, and is connected to in the background.
    pub async fn connect(
        name: &'static str,
        settings: &ContextSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let uri = &settings.mongo.mongo_uri;
        let database = mongo::connect(uri, name).await?;
        wait_for_mongodb(uri, &database).await?;
        let background = mongo::connect_in_background(uri, name).await?;
        let bus = Bus::connect(&settings.nats, name).await?;
        let consumers = ConsumerHealth::of(&bus);
        let revocation_copy = RevocationCopy::open(&database).await?;
        let revocations = Revocations::default();
        revocation_copy.restore(&revocations, clock.now()).await?;
        Ok(ServiceContext {
            name,
            database,
            background,
            consumers,
            bus,
            clock,
            revocations,
            revocation_copy,
        })
    }

    /// As [`ServiceContext::service`], with routes whose handlers verify session tokens: it knows which ones are refused
    /// before it is ready, and follows what else is revoked.
    pub fn service_with_sessions(&self, routes: Router, verifier: &Verifier) -> Service {
        let now = self.clock.now();
        for (revocation, until) in self.revocations.all() {
            verifier.revocations().add(revocation, until, now);
        }
        let feed = RevocationFeed::new(verifier.revocations(), self.clock.clone());
        let (ready, follower, bus) = (feed.clone(), feed.clone(), self.bus.clone());
        let copy = self.revocation_copy.in_background(&self.background);
        self.service_when(routes, move || ready.ready())
            .background("revocations", move |stop| follower.follow(bus, stop))
            .background("copy of revocations", move |stop| feed.save(copy, stop))
    }

    /// The service with these routes: ready while MongoDB responds (events of a broker that is down wait in the
    /// outboxes), and with the durability check of NATS.
    pub fn service(&self, routes: Router) -> Service {
        self.service_when(routes, || Ok(()))
    }

    fn service_when(
        &self,
        routes: Router,
        ready: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Service {
        // Requests that wait for a connection don't make it seem down.
        let (bus, database) = (self.bus.clone(), self.background.clone());
        if !bus.has_monitor() {
            tracing::warn!("NATS_MONITOR_URL isn't set: the durability of NATS isn't checked");
        }
        let service = Service::new(self.name, routes).ready_when(move || {
            let (ready, database) = (ready(), database.clone());
            async move {
                ready?;
                responds(database).await
            }
        });
        let check = move || {
            let bus = bus.clone();
            async move { bus.check_durability().await }
        };
        self.with_durability_check(service, "nats", check)
    }

    /// Adds the durability check of a further server. The service serves meanwhile; a misconfiguration stops it.
    pub fn with_durability_check<F>(
        &self,
        service: Service,
        server: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Service
    where
        F: Future<Output = Result<(), DurabilityError>> + Send + 'static,
    {
        service.check(move |stop| check_until_reachable(server, check, stop))
    }

    /// Background task: publishes what the outboxes of these documents hold.
    pub fn relay<T: Aggregate>(&self, documents: &Documents<T>) -> impl BackgroundTask + use<T> {
        let (documents, bus) = (documents.in_background(&self.background), self.bus.clone());
        move |stop| Box::pin(documents.relay(bus, stop))
    }

    /// Background task: counts the documents that break these promises.
    pub fn watch(&self, promises: &'static [Promise]) -> impl BackgroundTask + use<> {
        let (database, clock) = (self.background.clone(), self.clock.clone());
        move |stop| Box::pin(store::promises::watch(database, promises, clock, stop))
    }

    /// Background task: consumes the events of other services.
    ///
    /// # Panics
    ///
    /// If these aren't the events that the catalogue says this service consumes: others read there what it does, and NATS
    /// refuses other streams.
    pub fn consume<S>(&self, listeners: Listeners<S>) -> impl BackgroundTask + use<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let is_consumed = |subject: &Subject| subject.consumers().contains(&self.name);
        let catalogued: BTreeSet<Subject> =
            Subject::ALL.iter().copied().filter(is_consumed).collect();
        let listened = BTreeSet::from_iter(listeners.subjects());
        assert!(listened == catalogued, "{} consumes {listened:?}", self.name);
        let (consumers, clock) = (self.consumers.clone(), self.clock.clone());
        let database = self.background.clone();
        let ready = move || {
            let database = database.clone();
            async move { responds(database).await.is_ok() }
        };
        let listeners = listeners.paused_unless(ready);
        move |stop| Box::pin(listeners.run(consumers, clock, stop))
    }
}

/// Returns once MongoDB responds; an error is a setting that waiting doesn't repair.
async fn wait_for_mongodb(uri: &str, database: &Database) -> Result<(), DurabilityError> {
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);
    let mut failures = 0;
    loop {
        match mongo::check_durability(uri, database).await {
            Err(DurabilityError::Unreachable(error)) => {
                failures += 1;
                tracing::warn!(
                    error = format!("{error:#}"),
                    "MongoDB doesn't respond, waiting for it"
                );
            }
            outcome @ (Ok(()) | Err(DurabilityError::Misconfigured(_))) => return outcome,
        }
        tokio::time::sleep(back_off(failures, FIRST_PAUSE, LONGEST_PAUSE)).await;
    }
}

async fn responds(database: Database) -> Result<(), String> {
    const TIMEOUT: Duration = Duration::from_secs(2);
    // A task of its own, so that the driver's future isn't dropped half-way.
    let ping = tokio::spawn(async move { mongo::ping(&database).await });
    match tokio::time::timeout(TIMEOUT, ping).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(_) | Err(_) => Err("MongoDB doesn't respond".to_owned()),
    }
}

/// What [`Service::background`] accepts.
pub trait BackgroundTask:
    FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + 'static
{
}

impl<F: FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + 'static> BackgroundTask for F {}

/// The state of a service's routes: what its handlers work with, and the verifier of session tokens.
#[derive(Clone)]
pub struct HttpState<App> {
    pub app: App,
    pub verifier: Verifier,
}

impl<App> FromRef<HttpState<App>> for Verifier {
    fn from_ref(state: &HttpState<App>) -> Verifier {
        state.verifier.clone()
    }
}
