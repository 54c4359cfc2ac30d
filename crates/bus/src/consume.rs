//! Consuming: one durable pull consumer per service and stream, explicit acknowledgements, delayed redelivery with
//! back-off, dead letters, and a supervisor that recreates the consumer when a wiped broker has lost it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{AckKind, Message};
use common::Time;
use common::back_off::back_off;
use common::clock::Clock;
use common::events::{Event, Stream, Subject};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::advisories;
use crate::connection::Bus;
use crate::dead_letters::{self, Undeliverable};
use crate::health::ConsumerHealth;

/// JetStream redelivers what isn't acknowledged within this time.
const ACK_WAIT: Duration = Duration::from_secs(12);
/// A handler that takes longer is waiting for a dependency that is down.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);
/// A message whose handling fails goes to the dead letters after so many deliveries.
const MAX_DELIVERIES: i64 = 10;
/// How many messages of one stream are handled concurrently. The listeners don't depend on their order.
const CONCURRENCY: usize = 16;

/// Why a listener could not handle an event.
#[derive(Debug)]
pub enum Failure {
    /// The message itself is at fault: it becomes a dead letter at once.
    Permanent(anyhow::Error),
    /// The next try may succeed: redelivered with back-off, a dead letter after [`MAX_DELIVERIES`].
    Transient(anyhow::Error),
    /// It can't be handled before this time: redelivered then.
    RetryAt(Time),
    /// A dependency is down: retried indefinitely.
    DependencyDown(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Permanent(error) | Failure::Transient(error) => write!(f, "{error:#}"),
            Failure::RetryAt(time) => write!(f, "not before {time}"),
            Failure::DependencyDown(error) => write!(f, "dependency down: {error:#}"),
        }
    }
}

type Handler<S> = Arc<dyn Fn(S, &[u8]) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// A service's listeners, by subject. Each is a function of the service's state and an event.
pub struct Listeners<S> {
    state: S,
    handlers: BTreeMap<Subject, Handler<S>>,
}

impl<S: Clone + Send + Sync + 'static> Listeners<S> {
    /// Without any listener yet.
    pub fn new(state: S) -> Self {
        Listeners { state, handlers: BTreeMap::new() }
    }

    /// Adds a listener; the type of its event determines the subject.
    pub fn on<E, F, Fut>(mut self, listener: F) -> Self
    where
        E: Event,
        F: Fn(S, E) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler: Handler<S> =
            Arc::new(move |state, data| match serde_json::from_slice::<E>(data) {
                Ok(event) => Box::pin(listener(state, event)),
                Err(error) => {
                    let failure = Failure::Permanent(anyhow!("not a {}: {error}", E::SUBJECT));
                    Box::pin(std::future::ready(Err(failure)))
                }
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
            return Err(Failure::Permanent(anyhow!("no listener for {subject}")));
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

    /// Consumes until `stop` is cancelled, and keeps `health` up to date.
    pub async fn run(self, health: ConsumerHealth, clock: Clock, stop: CancellationToken) {
        let mut streams: BTreeMap<Stream, Vec<Subject>> = BTreeMap::new();
        for subject in self.handlers.keys() {
            streams.entry(subject.stream()).or_default().push(*subject);
        }
        let bus = health.bus().clone();
        let advisories = tokio::spawn(advisories::run(bus.clone(), stop.clone()));
        let listeners = Arc::new(self);
        let consumers = streams.into_iter().map(|(stream, subjects)| {
            let consumer = Consumer {
                stream,
                subjects,
                listeners: Arc::clone(&listeners),
                bus: bus.clone(),
                health: health.clone(),
                clock: clock.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(consumer.supervise())
        });
        futures::future::join_all(consumers.chain([advisories])).await;
    }
}

struct Consumer<S> {
    stream: Stream,
    subjects: Vec<Subject>,
    listeners: Arc<Listeners<S>>,
    bus: Bus,
    health: ConsumerHealth,
    clock: Clock,
    stop: CancellationToken,
}

impl<S: Clone + Send + Sync + 'static> Consumer<S> {
    /// Pulls, and after any error recreates the consumer: the client itself neither ends nor recreates it when the
    /// broker's storage was wiped.
    async fn supervise(self) {
        const PAUSE: Duration = Duration::from_millis(250);
        while !self.stop.is_cancelled() {
            if let Err(error) = self.pull().await {
                tracing::debug!(
                    stream = self.stream.name(),
                    error = format!("{error:#}"),
                    "recreating consumer"
                );
            }
            self.health.set_connected(self.stream, false);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn pull(&self) -> anyhow::Result<()> {
        let config = pull::Config {
            durable_name: Some(self.bus.service().to_owned()),
            filter_subjects: self.subjects.iter().map(ToString::to_string).collect(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: 256,
            ..pull::Config::default()
        };
        let consumer: async_nats::jetstream::consumer::Consumer<pull::Config> = self
            .bus
            .jetstream
            .create_consumer_on_stream(config, self.stream.name())
            .await
            .context("creating the consumer")?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(CONCURRENCY)
            .heartbeat(Duration::from_secs(2))
            .expires(Duration::from_secs(5))
            .messages()
            .await?;
        self.health.set_connected(self.stream, true);

        let lost = CancellationToken::new();
        messages
            .take_until(self.stop.cancelled())
            .take_until(lost.cancelled())
            .for_each_concurrent(CONCURRENCY, |message| {
                let lost = &lost;
                async move {
                    match message {
                        Ok(message) => self.handle(message).await,
                        Err(error) => {
                            tracing::debug!(stream = self.stream.name(), %error, "consumer disconnected");
                            lost.cancel();
                        }
                    }
                }
            })
            .await;
        anyhow::ensure!(!lost.is_cancelled(), "disconnected");
        Ok(())
    }

    async fn handle(&self, message: Message) {
        let header = |name: &str| {
            message.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string)
        };
        let span = tracing::info_span!(
            "event",
            subject = %message.subject,
            event_id = header("ce-id"),
            trace_id = tracing::field::Empty,
        );
        telemetry::continue_trace(&span, header(telemetry::TRACEPARENT).as_deref());
        async {
            loop {
                let outcome = self.listeners.handle(&message.subject, &message.payload).await;
                match self.acknowledge(&message, outcome).await {
                    Ok(Disposition::Done) => return,
                    Ok(Disposition::Retry) => {}
                    // Without an acknowledgement, JetStream redelivers the message.
                    Err(error) => {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "could not acknowledge, message will be redelivered"
                        );
                        return;
                    }
                }
            }
        }
        .instrument(span)
        .await;
    }

    async fn acknowledge(
        &self,
        message: &Message,
        outcome: Result<(), Failure>,
    ) -> anyhow::Result<Disposition> {
        let deliveries = message.info().map_err(|error| anyhow!(error))?.delivered;
        let kind = match outcome {
            Ok(()) => AckKind::Ack,
            Err(Failure::RetryAt(time)) => AckKind::Nak(Some(self.clock.now().until(time))),
            Err(Failure::Transient(error)) if deliveries < MAX_DELIVERIES => {
                tracing::info!(
                    error = format!("{error:#}"),
                    deliveries,
                    "event not handled, will retry"
                );
                AckKind::Nak(Some(redelivery_delay(deliveries)))
            }
            Err(Failure::Permanent(error) | Failure::Transient(error)) => {
                let undeliverable = Undeliverable::of(message)?;
                let reason = format!("{error:#}");
                dead_letters::publish_dead_letter(&self.bus, undeliverable, &reason).await?;
                record(message);
                self.bus.terminate(message, advisories::DEAD_LETTERED).await?;
                return Ok(Disposition::Done);
            }
            Err(Failure::DependencyDown(error)) => {
                tracing::warn!(error = format!("{error:#}"), "dependency down, event waits for it");
                tokio::time::sleep(Duration::from_millis(500)).await;
                if self.stop.is_cancelled() {
                    AckKind::Nak(None)
                } else {
                    message.ack_with(AckKind::Progress).await.map_err(|error| anyhow!(error))?;
                    return Ok(Disposition::Retry);
                }
            }
        };
        record(message);
        message.ack_with(kind).await.map_err(|error| anyhow!(error))?;
        Ok(Disposition::Done)
    }
}

fn record(message: &Message) {
    let subject = Subject::label(&message.subject);
    metrics::counter!("events_handled_total", "subject" => subject).increment(1);
}

/// What is left to do with a message.
enum Disposition {
    /// JetStream has been informed of the outcome.
    Done,
    /// It is kept, and handled again.
    Retry,
}

fn redelivery_delay(deliveries: i64) -> Duration {
    let failures = u32::try_from(deliveries).unwrap_or(u32::MAX);
    back_off(failures, Duration::from_millis(100), Duration::from_secs(30))
}
