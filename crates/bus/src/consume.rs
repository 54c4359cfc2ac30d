//! Consuming: a service's listeners, the ways in which one may fail, and one durable pull consumer
//! (`consumer.rs`) per stream.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use common::Time;
use common::events::{Event, Stream, Subject};
use futures::future::BoxFuture;
use tracing::Instrument;

/// A handler that takes longer is waiting for a dependency that is down.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a listener could not handle an event.
#[derive(Debug)]
pub enum Failure {
    /// The message itself is at fault, whatever the version that reads it: it becomes a dead letter at once.
    Permanent(anyhow::Error),
    /// The fault may lie in the message: redelivered with back-off, and a dead letter after ten failures if other
    /// messages of the consumer have succeeded meanwhile.
    Transient(anyhow::Error),
    /// Another version's subject, value or document, which this version doesn't know: redelivered with back-off, and a
    /// dead letter when the message is older than any rollout takes.
    Unknown(anyhow::Error),
    /// It can't be handled before this time: redelivered then.
    RetryAt(Time),
    /// A dependency is down: retried indefinitely.
    DependencyDown(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Permanent(error) | Failure::Transient(error) | Failure::Unknown(error) => {
                write!(f, "{error:#}")
            }
            Failure::RetryAt(time) => write!(f, "not before {time}"),
            Failure::DependencyDown(error) => write!(f, "dependency down: {error:#}"),
        }
    }
}

type Handler<S> = Arc<dyn Fn(S, &[u8]) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;
type Readiness = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// A service's listeners, by subject. Each is a function of the service's state and an event.
pub struct Listeners<S> {
    state: S,
    handlers: BTreeMap<Subject, Handler<S>>,
    readiness: Option<Readiness>,
}

impl<S: Clone + Send + Sync + 'static> Listeners<S> {
    /// Without any listener yet.
    pub fn new(state: S) -> Self {
        Listeners { state, handlers: BTreeMap::new(), readiness: None }
    }

    /// Pauses the consumers while this is false: after a failure of a dependency they take nothing more until it is true.
    pub fn paused_unless<Fut>(mut self, ready: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.readiness = Some(Arc::new(move || Box::pin(ready())));
        self
    }

    pub(crate) async fn is_ready(&self) -> bool {
        match &self.readiness {
            Some(ready) => ready().await,
            None => true,
        }
    }

    /// Adds a listener; the type of its event determines the subject.
    pub fn on<E, F, Fut>(mut self, listener: F) -> Self
    where
        E: Event,
        F: Fn(S, E) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler: Handler<S> = Arc::new(move |state, data| {
            let failure = match serde_json::from_slice::<E>(data) {
                Ok(event) if event.has_unknown_value() => {
                    Failure::Unknown(anyhow!("a value in {} is unknown", E::SUBJECT))
                }
                Ok(event) => return Box::pin(listener(state, event)),
                Err(error) => Failure::Permanent(anyhow!("not a {}: {error}", E::SUBJECT)),
            };
            Box::pin(std::future::ready(Err(failure)))
        });
        self.handlers.insert(E::SUBJECT, handler);
        self
    }

    /// The subjects that are consumed.
    pub fn subjects(&self) -> Vec<Subject> {
        self.handlers.keys().copied().collect()
    }

    /// The streams that are consumed.
    pub fn streams(&self) -> BTreeSet<Stream> {
        self.handlers.keys().map(|subject| subject.stream()).collect()
    }

    /// Runs the listener of one event, in a task of its own, which runs to completion even if the caller is dropped.
    pub async fn handle(&self, subject: &str, data: &[u8]) -> Result<(), Failure> {
        let handler = subject.parse().ok().and_then(|subject: Subject| self.handlers.get(&subject));
        let Some(handler) = handler else {
            return Err(Failure::Unknown(anyhow!("no listener for {subject}")));
        };
        let work = handler(self.state.clone(), data);
        let task = tokio::spawn(work.in_current_span());
        match tokio::time::timeout(HANDLER_TIMEOUT, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(Failure::Transient(anyhow!("the listener panicked: {panic}"))),
            Err(_) => {
                Err(Failure::DependencyDown(anyhow!("not handled within {HANDLER_TIMEOUT:?}")))
            }
        }
    }
}
