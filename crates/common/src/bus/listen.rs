//! Listening: one durable pull consumer per service and stream, explicit acks, delayed naks with
//! back-off, dead letters, and one supervisor that makes anew what a wiped broker lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::dead::{self, Corpse};
use super::{Bus, Contended, advisories};
use crate::clock::{Clock, Time};
use crate::events::{Event, Stream};
use crate::{mongo, telemetry};

/// JetStream delivers again what isn't acknowledged within this time.
const ACK_WAIT: Duration = Duration::from_secs(12);
/// A handler that takes longer waits for something that is down.
const PATIENCE: Duration = Duration::from_secs(10);
/// A message that fails by itself is given up after so many deliveries.
const TRIES: i64 = 10;
/// How many messages of one stream are worked on at once. Order doesn't matter to the listeners.
const CONCURRENCY: usize = 16;

/// Why a listener could not handle an event.
#[derive(Debug)]
pub enum Failure {
    /// It never will: to the dead letters, at once.
    Never(anyhow::Error),
    /// It may the next time: again after a pause, to the dead letters after some tries.
    Later(anyhow::Error),
    /// Not before this moment: again then.
    NotBefore(Time),
    /// A dependency is down: the consumer waits until it answers, for ever.
    Down(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Never(error) | Failure::Later(error) => write!(f, "{error:#}"),
            Failure::NotBefore(time) => write!(f, "not before {time}"),
            Failure::Down(error) => write!(f, "a dependency is down: {error:#}"),
        }
    }
}

impl From<mongodb::error::Error> for Failure {
    fn from(error: mongodb::error::Error) -> Self {
        if mongo::is_down(&error) {
            Failure::Down(error.into())
        } else {
            Failure::Later(error.into())
        }
    }
}

impl From<Contended> for Failure {
    fn from(contended: Contended) -> Self {
        Failure::Later(contended.into())
    }
}

type Handler<S> = Arc<dyn Fn(S, &[u8]) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// A service's listeners, by subject. Each is a function of the service's state and an event.
pub struct Listeners<S> {
    state: S,
    handlers: BTreeMap<&'static str, (Stream, Handler<S>)>,
}

impl<S: Clone + Send + Sync + 'static> Listeners<S> {
    pub fn new(state: S) -> Self {
        Listeners { state, handlers: BTreeMap::new() }
    }

    /// Adds a listener; which subject it hears is said by the type of its event.
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
                    let failure = Failure::Never(anyhow!("not a {}: {error}", E::SUBJECT));
                    Box::pin(std::future::ready(Err(failure)))
                }
            });
        self.handlers.insert(E::SUBJECT, (E::STREAM, handler));
        self
    }

    /// The subjects that are heard.
    pub fn subjects(&self) -> Vec<&'static str> {
        self.handlers.keys().copied().collect()
    }

    /// The streams that are heard.
    pub(crate) fn streams(&self) -> BTreeSet<Stream> {
        self.handlers.values().map(|(stream, _)| *stream).collect()
    }

    /// Runs the listener of one event, in a task of its own that ends its work whatever happens here.
    pub(crate) async fn handle(&self, subject: &str, data: &[u8]) -> Result<(), Failure> {
        let Some((_, handler)) = self.handlers.get(subject) else {
            return Err(Failure::Never(anyhow!("nobody here listens to {subject}")));
        };
        let work = handler(self.state.clone(), data);
        let task = tokio::spawn(work.in_current_span());
        match tokio::time::timeout(PATIENCE, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(Failure::Later(anyhow!("the listener panicked: {panic}"))),
            Err(_) => Err(Failure::Down(anyhow!("no answer within {PATIENCE:?}"))),
        }
    }

    /// Listens until it is told to stop. `feeds` says meanwhile which streams can be heard.
    pub async fn run(self, feeds: Feeds, clock: Clock, stop: CancellationToken) {
        let mut streams: BTreeMap<Stream, Vec<&'static str>> = BTreeMap::new();
        for (subject, (stream, _)) in &self.handlers {
            streams.entry(*stream).or_default().push(subject);
        }
        let advisories = tokio::spawn(advisories::attend(feeds.bus.clone(), stop.clone()));
        let listeners = Arc::new(self);
        let consumers = streams.into_iter().map(|(stream, subjects)| {
            let consumer = Consumer {
                stream,
                subjects,
                listeners: Arc::clone(&listeners),
                bus: feeds.bus.clone(),
                feeds: feeds.clone(),
                clock: clock.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(consumer.supervise())
        });
        futures::future::join_all(consumers.chain([advisories])).await;
    }
}

/// Which streams a service can hear just now.
#[derive(Clone)]
pub struct Feeds {
    bus: Bus,
    heard: Arc<[AtomicBool; Stream::ALL.len()]>,
}

impl Feeds {
    pub fn of(bus: &Bus) -> Self {
        Feeds { bus: bus.clone(), heard: Arc::default() }
    }

    /// Whether what others published may not have reached us.
    pub fn is_cut_off(&self, stream: Stream) -> bool {
        !self.bus.is_connected() || !self.heard[stream as usize].load(Ordering::Relaxed)
    }

    fn set(&self, stream: Stream, heard: bool) {
        self.heard[stream as usize].store(heard, Ordering::Relaxed);
        let value = if heard { 1.0 } else { 0.0 };
        metrics::gauge!("consumer_connected", "stream" => stream.name()).set(value);
    }
}

struct Consumer<S> {
    stream: Stream,
    subjects: Vec<&'static str>,
    listeners: Arc<Listeners<S>>,
    bus: Bus,
    feeds: Feeds,
    clock: Clock,
    stop: CancellationToken,
}

impl<S: Clone + Send + Sync + 'static> Consumer<S> {
    /// Pulls, and after any error makes stream and consumer sure and pulls anew: the client itself
    /// neither ends nor recreates them when the broker's store was wiped.
    async fn supervise(self) {
        const PAUSE: Duration = Duration::from_millis(250);
        while !self.stop.is_cancelled() {
            if let Err(error) = self.pull().await {
                tracing::debug!(
                    stream = self.stream.name(),
                    error = format!("{error:#}"),
                    "pulling anew"
                );
            }
            self.feeds.set(self.stream, false);
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
            .context("making the consumer")?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(CONCURRENCY)
            .heartbeat(Duration::from_secs(2))
            .expires(Duration::from_secs(5))
            .messages()
            .await?;
        self.feeds.set(self.stream, true);

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
                            tracing::debug!(stream = self.stream.name(), %error, "the consumer is cut off");
                            lost.cancel();
                        }
                    }
                }
            })
            .await;
        anyhow::ensure!(!lost.is_cancelled(), "cut off");
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
        telemetry::continue_trace(&span, header("traceparent").as_deref());
        async {
            loop {
                let outcome = self.listeners.handle(&message.subject, &message.payload).await;
                match self.answer(&message, outcome).await {
                    Ok(Verdict::Done) => return,
                    Ok(Verdict::Again) => {}
                    // JetStream delivers the message again when it hears nothing from us.
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "could not answer the broker");
                        return;
                    }
                }
            }
        }
        .instrument(span)
        .await;
    }

    async fn answer(
        &self,
        message: &Message,
        outcome: Result<(), Failure>,
    ) -> anyhow::Result<Verdict> {
        let tries = message.info().map_err(|error| anyhow!(error))?.delivered;
        let kind = match outcome {
            Ok(()) => AckKind::Ack,
            Err(Failure::NotBefore(time)) => AckKind::Nak(Some(self.clock.now().until(time))),
            Err(Failure::Later(error)) if tries < TRIES => {
                tracing::info!(error = format!("{error:#}"), tries, "trying again later");
                AckKind::Nak(Some(back_off(tries)))
            }
            Err(Failure::Never(error) | Failure::Later(error)) => {
                let corpse = Corpse::of(message)?;
                dead::bury(&self.bus, corpse, &format!("{error:#}")).await?;
                count(message);
                return self
                    .bus
                    .terminate(message, advisories::BURIED)
                    .await
                    .map(|()| Verdict::Done);
            }
            Err(Failure::Down(error)) => {
                tracing::warn!(error = format!("{error:#}"), "waiting for a dependency");
                tokio::time::sleep(Duration::from_millis(500)).await;
                if self.stop.is_cancelled() {
                    AckKind::Nak(None)
                } else {
                    message.ack_with(AckKind::Progress).await.map_err(|error| anyhow!(error))?;
                    return Ok(Verdict::Again);
                }
            }
        };
        count(message);
        message.ack_with(kind).await.map_err(|error| anyhow!(error))?;
        Ok(Verdict::Done)
    }
}

fn count(message: &Message) {
    let subject = message.subject.to_string();
    metrics::counter!("events_handled_total", "subject" => subject).increment(1);
}

enum Verdict {
    Done,
    Again,
}

/// 100 ms, doubled with each try, at most half a minute.
fn back_off(tries: i64) -> Duration {
    let doublings = u32::try_from(tries.clamp(1, 10) - 1).unwrap_or(0);
    Duration::from_millis(100 * 2_u64.pow(doublings)).min(Duration::from_secs(30))
}
