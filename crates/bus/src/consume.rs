//! Consuming: a service's listeners, the ways in which one may fail, and one durable pull consumer
//! (`consumer.rs`) per stream.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use common::Time;
use common::events::{Event, Stream, Subject, Versioned};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
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

impl Failure {
    /// Its kind, as a span has it. None: it only came too early.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match self {
            Failure::Permanent(_) => Some("permanent"),
            Failure::Transient(_) => Some("transient"),
            Failure::Unknown(_) => Some("unknown"),
            Failure::RetryAt(_) => None,
            Failure::DependencyDown(_) => Some("dependency_down"),
        }
    }
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
type BatchHandler<S> =
    Box<dyn Fn(S, &[&[u8]]) -> Option<BoxFuture<'static, Result<(), Failure>>> + Send + Sync>;
type Readiness = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// A service's listeners, by subject. Each is a function of the service's state and an event.
pub struct Listeners<S> {
    state: S,
    handlers: BTreeMap<Subject, Handler<S>>,
    batches: Vec<Batch<S>>,
    readiness: Option<Readiness>,
}

/// How several messages are handled together.
struct Batch<S> {
    subjects: Vec<Subject>,
    handler: BatchHandler<S>,
}

impl<S: Clone + Send + Sync + 'static> Listeners<S> {
    /// Without any listener yet.
    pub fn new(state: S) -> Self {
        Listeners { state, handlers: BTreeMap::new(), batches: Vec::new(), readiness: None }
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

    /// Handles several messages of these subjects, which carry the same data, by one call: those that have arrived while the
    /// call before it was in progress. If it fails, or can't read one of them, each is handled by its own listener instead.
    pub fn together<D, F, Fut>(mut self, subjects: &[Subject], listener: F) -> Self
    where
        D: Versioned + DeserializeOwned,
        F: Fn(S, Vec<D>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler: BatchHandler<S> = Box::new(move |state, messages| {
            let read = |data: &&[u8]| serde_json::from_slice::<D>(data).ok();
            let all = messages.iter().map(read).collect::<Option<Vec<D>>>()?;
            let is_unknown = all.iter().any(Versioned::has_unknown_value);
            (!is_unknown).then(|| -> BoxFuture<'static, _> { Box::pin(listener(state, all)) })
        });
        self.batches.push(Batch { subjects: subjects.to_vec(), handler });
        self
    }

    /// How many kinds of batches there are.
    pub(crate) fn kinds_of_batches(&self) -> usize {
        self.batches.len()
    }

    /// Which of them a message belongs to.
    pub(crate) fn batch_of(&self, subject: &str) -> Option<usize> {
        let subject: Subject = subject.parse().ok()?;
        self.batches.iter().position(|batch| batch.subjects.contains(&subject))
    }

    /// Handles messages of one kind of batch together, as [`Listeners::handle`] does one. None: they can't be.
    pub(crate) async fn handle_together(
        &self,
        kind: usize,
        messages: &[&[u8]],
    ) -> Option<Result<(), Failure>> {
        let batch = self.batches.get(kind)?;
        let work = (batch.handler)(self.state.clone(), messages)?;
        Some(complete(work).await)
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
        complete(handler(self.state.clone(), data)).await
    }
}

/// Runs a listener in a task of its own.
async fn complete(
    work: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    let task = tokio::spawn(work.in_current_span());
    match tokio::time::timeout(HANDLER_TIMEOUT, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Failure::Transient(anyhow!("the listener panicked: {panic}"))),
        Err(_) => Err(Failure::DependencyDown(anyhow!("not handled within {HANDLER_TIMEOUT:?}"))),
    }
}
