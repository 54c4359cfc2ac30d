//! One durable pull consumer: its subjects, its supervisor, and what follows from each outcome.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::{self, AckPolicy, pull};
use async_nats::jetstream::message::Info;
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{AckKind, ErrorCode, Message};
use common::back_off::back_off;
use common::clock::Clock;
use common::events::{Stream, Subject};
use futures::stream::{FuturesUnordered, ReadyChunks};
use futures::{FutureExt, StreamExt};
use telemetry::spans;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::advisories;
use crate::connection::Bus;
use crate::consume::{Failure, Listeners};
use crate::dead_letters::{self, Undeliverable};
use crate::failures::{Failures, MessageKey, Verdict};
use crate::health::ConsumerHealth;
use crate::{lag, time};

/// JetStream redelivers what isn't acknowledged within this time.
const ACK_WAIT: Duration = Duration::from_secs(12);
/// How many messages of one stream are handled concurrently. The listeners don't depend on their order.
const CONCURRENCY: usize = 16;
/// How many messages are handled together at most, and how many are requested from the broker at once.
const BATCH: usize = 64;
/// How many messages may wait for an acknowledgement: those that wait for a redelivery must not stop the others.
const MAX_ACK_PENDING: i64 = 20_000;
/// How often a message is tried again at once, in its place, when a dependency is down and the service is ready.
const TRIES_IN_PLACE: u32 = 6;
/// The pause before each of those, and between two questions whether the service is ready.
const DEPENDENCY_PAUSE: Duration = Duration::from_millis(500);
/// For so long a message that this version doesn't understand is retried: longer than any rollout takes.
const LONGEST_ROLLOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl<S: Clone + Send + Sync + 'static> Listeners<S> {
    /// Consumes until `stop` is cancelled, and keeps `health` up to date. Returns earlier only if one of its tasks ends.
    pub async fn run(self, health: ConsumerHealth, clock: Clock, stop: CancellationToken) {
        let mut streams: BTreeMap<Stream, Vec<Subject>> = BTreeMap::new();
        for subject in self.subjects() {
            streams.entry(subject.stream()).or_default().push(subject);
        }
        let bus = health.bus().clone();
        let listeners = Arc::new(self);
        let mut tasks = JoinSet::new();
        tasks.spawn(advisories::run(bus.clone(), stop.clone()));
        tasks.spawn(lag::run(bus.clone(), streams.clone(), stop.clone()));
        for (stream, subjects) in streams {
            let consumer = Consumer {
                stream,
                subjects,
                listeners: Arc::clone(&listeners),
                bus: bus.clone(),
                health: health.clone(),
                clock: clock.clone(),
                stop: stop.clone(),
                failures: Mutex::new(Failures::default()),
            };
            tasks.spawn(consumer.supervise());
        }
        while let Some(ended) = tasks.join_next().await {
            if !stop.is_cancelled() {
                tracing::error!(?ended, "a consumer ended");
                return;
            }
        }
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
    failures: Mutex<Failures>,
}

impl<S: Clone + Send + Sync + 'static> Consumer<S> {
    /// Pulls, and after any error recreates the consumer: the client itself neither ends nor recreates it when the
    /// broker's storage was wiped.
    pub async fn supervise(self) {
        const PAUSE: Duration = Duration::from_millis(250);
        let mut has_dead_letter_streams = false;
        while !self.stop.is_cancelled() {
            let pulled = async {
                // What ends before these streams exist would be reported to nobody.
                if !has_dead_letter_streams {
                    self.bus.ensure_dead_letter_streams().await?;
                    has_dead_letter_streams = true;
                }
                self.pull().await
            };
            if let Err(error) = pulled.await {
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

    /// The consumer, which all replicas share. Its filter only grows: a replica of an older version that reconnects must
    /// not take away a subject that a newer one consumes, as JetStream would pass over what is published meanwhile.
    async fn ensure(&self) -> anyhow::Result<consumer::Consumer<pull::Config>> {
        const ATTEMPTS: usize = 5;
        let own: BTreeSet<String> = self.subjects.iter().map(ToString::to_string).collect();
        for _ in 0..ATTEMPTS {
            let Some(found) = self.find().await? else {
                // Fails if another replica has created it meanwhile with other subjects.
                let created = self
                    .bus
                    .jetstream
                    .create_consumer_strict_on_stream(self.config(&own), self.stream.name());
                match created.await {
                    Ok(consumer) => return Ok(consumer),
                    Err(error) if self.find().await?.is_none() => {
                        return Err(error).context("creating the consumer");
                    }
                    Err(_) => continue,
                }
            };
            let present = &found.cached_info().config;
            let mut subjects: BTreeSet<String> = present.filter_subjects.iter().cloned().collect();
            subjects.extend(Some(present.filter_subject.clone()).filter(|one| !one.is_empty()));
            let is_current = subjects.is_superset(&own)
                && present.ack_wait == ACK_WAIT
                && present.max_ack_pending == MAX_ACK_PENDING
                && present.max_deliver <= 0;
            if is_current {
                return Ok(found);
            }
            // Read again afterwards: another replica may have written other subjects at the same time.
            subjects.extend(own.iter().cloned());
            let update = self.config(&subjects);
            let updated = self.bus.jetstream.create_consumer_on_stream(update, self.stream.name());
            updated.await.context("updating the consumer")?;
        }
        anyhow::bail!("others change the consumer at the same time");
    }

    /// None: it doesn't exist.
    async fn find(&self) -> anyhow::Result<Option<consumer::Consumer<pull::Config>>> {
        let (jetstream, name) = (&self.bus.jetstream, self.bus.service());
        match jetstream.get_consumer_from_stream(name, self.stream.name()).await {
            Ok(consumer) => Ok(Some(consumer)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).context("reading the consumer"),
        }
    }

    fn config(&self, subjects: &BTreeSet<String>) -> pull::Config {
        pull::Config {
            durable_name: Some(self.bus.service().to_owned()),
            filter_subjects: subjects.iter().cloned().collect(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        }
    }

    async fn pull(&self) -> anyhow::Result<()> {
        let messages = self
            .ensure()
            .await?
            .stream()
            .max_messages_per_batch(BATCH)
            .heartbeat(Duration::from_secs(2))
            .expires(Duration::from_secs(5))
            .messages()
            .await?;
        self.health.set_connected(self.stream, true);

        // None: no more is asked for.
        let mut arriving = Some(messages.ready_chunks(BATCH));
        let mut is_lost = false;
        let mut alone = VecDeque::new();
        let mut batches = vec![Batch::default(); self.listeners.kinds_of_batches()];
        let mut handling = FuturesUnordered::new();
        let mut handled_alone = 0;
        loop {
            while handled_alone < CONCURRENCY
                && let Some(message) = alone.pop_front()
            {
                handled_alone += 1;
                handling.push(self.handle(message).map(|()| None).boxed());
            }
            for (kind, batch) in batches.iter_mut().enumerate() {
                if let Some(messages) = batch.begin() {
                    let work = self.handle_batch(kind, messages);
                    handling.push(work.map(move |()| Some(kind)).boxed());
                }
            }
            let has_room =
                alone.is_empty() && batches.iter().all(|batch| batch.waiting.len() < BATCH);
            tokio::select! {
                Some(done) = handling.next() => match done {
                    Some(kind) => batches[kind].is_handled = false,
                    None => handled_alone -= 1,
                },
                () = self.stop.cancelled(), if arriving.is_some() => {
                    let waiting = batches.iter_mut().flat_map(|batch| mem::take(&mut batch.waiting));
                    let waiting = mem::take(&mut alone).into_iter().chain(waiting).collect();
                    if let Some(arriving) = arriving.take() {
                        give_back(arriving, waiting).await;
                    }
                }
                chunk = next(&mut arriving), if arriving.is_some() && has_room => {
                    if chunk.is_none() {
                        arriving = None;
                    }
                    for message in chunk.into_iter().flatten() {
                        match message {
                            Ok(message) => match self.listeners.batch_of(&message.subject) {
                                Some(kind) => batches[kind].waiting.push(message),
                                None => alone.push_back(message),
                            },
                            Err(error) => {
                                tracing::debug!(stream = self.stream.name(), %error, "consumer disconnected");
                                (arriving, is_lost) = (None, true);
                            }
                        }
                    }
                }
                else => break,
            }
        }
        anyhow::ensure!(!is_lost, "disconnected");
        Ok(())
    }

    /// Handles messages together, and each alone if that fails, or if there is only one.
    async fn handle_batch(&self, kind: usize, messages: Vec<Message>) {
        if messages.len() > 1 {
            let log = tracing::info_span!(
                "events",
                messages = messages.len(),
                trace_id = tracing::field::Empty,
            );
            let headers: Vec<Headers> = messages.iter().map(Headers::of).collect();
            let all = headers.iter().map(|headers| headers.handling(self.bus.service()));
            let batch = spans::Batch::begin(log, &all.collect::<Vec<_>>());
            let handling = self.handle_together(kind, &messages);
            match handling.instrument(batch.span().clone()).await {
                Ok(()) => return,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::debug!(error, "not handled together, each is handled alone");
                }
            }
        }
        let each = messages.into_iter().map(|message| self.handle(message));
        futures::stream::iter(each).buffer_unordered(CONCURRENCY).collect::<()>().await;
    }

    async fn handle_together(&self, kind: usize, messages: &[Message]) -> anyhow::Result<()> {
        let infos = messages.iter().map(|message| message.info().map_err(|error| anyhow!(error)));
        let infos = infos.collect::<anyhow::Result<Vec<_>>>()?;
        let _handling: Vec<_> =
            infos.iter().map(|info| self.health.handling(self.stream, info)).collect();
        let bodies: Vec<&[u8]> = messages.iter().map(|message| &*message.payload).collect();
        let started = Instant::now();
        let outcome = self.listeners.handle_together(kind, &bodies).await;
        let milliseconds = milliseconds_since(started);
        match outcome {
            Some(Ok(())) => {}
            Some(Err(failure)) => anyhow::bail!("{failure}"),
            None => anyhow::bail!("not every message can be read"),
        }
        for (message, info) in messages.iter().zip(&infos) {
            self.failures().succeeded(key_of(info));
            record(message);
            let headers = Headers::of(message);
            let (event_id, trace_id) = (headers.id, headers.trace_id());
            let subject = headers.subject;
            tracing::info!(subject, event_id, trace_id, milliseconds, "event handled");
            if let Err(error) = message.ack().await {
                tracing::warn!(%error, "could not acknowledge, message will be redelivered");
            }
        }
        Ok(())
    }

    async fn handle(&self, message: Message) {
        let headers = Headers::of(&message);
        let span = tracing::info_span!(
            "event",
            subject = headers.subject,
            event_id = headers.id,
            trace_id = tracing::field::Empty,
        );
        let span = spans::handle(span, &headers.handling(self.bus.service()));
        async {
            // Without an acknowledgement, JetStream redelivers the message.
            if let Err(error) = self.handle_until_acknowledged(&message).await {
                let error = format!("{error:#}");
                tracing::warn!(error, "could not acknowledge, message will be redelivered");
            }
        }
        .instrument(span)
        .await;
    }

    async fn handle_until_acknowledged(&self, message: &Message) -> anyhow::Result<()> {
        let info = message.info().map_err(|error| anyhow!(error))?;
        let _handling = self.health.handling(self.stream, &info);
        let key = key_of(&info);
        let (deliveries, mut tries) = (info.delivered, 0);
        let started = Instant::now();
        let kind = loop {
            let outcome = self.listeners.handle(&message.subject, &message.payload).await;
            if let Some(kind) = outcome.as_ref().err().and_then(Failure::kind) {
                spans::fail(&Span::current(), kind);
            }
            match outcome {
                Ok(()) => {
                    self.failures().succeeded(key);
                    let milliseconds = milliseconds_since(started);
                    tracing::info!(deliveries, milliseconds, "event handled");
                    break AckKind::Ack;
                }
                Err(Failure::RetryAt(time)) => {
                    break AckKind::Nak(Some(self.clock.now().until(time)));
                }
                Err(Failure::Permanent(error)) => return self.give_up(message, key, &error).await,
                Err(Failure::Transient(error)) => {
                    let verdict = self.failures().failed(key);
                    let Verdict::Retry(failures) = verdict else {
                        return self.give_up(message, key, &error).await;
                    };
                    let error = format!("{error:#}");
                    tracing::info!(error, failures, "event not handled, will retry");
                    break AckKind::Nak(Some(failure_pause(failures)));
                }
                Err(Failure::Unknown(error)) => {
                    if self.is_older_than_any_rollout(key) {
                        return self.give_up(message, key, &error).await;
                    }
                    let error = format!("{error:#}");
                    tracing::info!(error, deliveries, "event of another version, will retry");
                    break AckKind::Nak(Some(unknown_pause(deliveries)));
                }
                Err(Failure::DependencyDown(error)) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "dependency down, event waits for it"
                    );
                    self.wait_until_ready(message).await?;
                    tries += 1;
                    if self.stop.is_cancelled() {
                        break AckKind::Nak(None);
                    }
                    if tries == TRIES_IN_PLACE {
                        break AckKind::Nak(Some(dependency_pause(deliveries)));
                    }
                }
            }
        };
        record(message);
        message.ack_with(kind).await.map_err(|error| anyhow!(error))
    }

    /// Keeps the message, and so its place among those that are handled concurrently, while the service isn't ready: the
    /// consumer holds what it has and takes nothing more.
    async fn wait_until_ready(&self, message: &Message) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(DEPENDENCY_PAUSE) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
            message.ack_with(AckKind::Progress).await.map_err(|error| anyhow!(error))?;
            if self.listeners.is_ready().await {
                return Ok(());
            }
        }
    }

    /// Publishes the dead letter, and terminates the message.
    async fn give_up(
        &self,
        message: &Message,
        key: MessageKey,
        error: &anyhow::Error,
    ) -> anyhow::Result<()> {
        let undeliverable = Undeliverable::of(message)?;
        let reason = format!("{error:#}");
        dead_letters::publish_dead_letter(&self.bus, undeliverable, &reason).await?;
        record(message);
        self.bus.terminate(message, advisories::DEAD_LETTERED).await?;
        self.failures().forget(key);
        Ok(())
    }

    /// A stream that keeps its messages for a shorter time must not drop one silently either.
    fn is_older_than_any_rollout(&self, (_, published): MessageKey) -> bool {
        let limit = LONGEST_ROLLOUT.min(self.bus.max_age() / 2);
        time::from_nanos(published).until(self.clock.now()) > limit
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What JetStream sends, as far as it has arrived.
type Arriving = ReadyChunks<pull::Stream>;

/// The next messages; none at the end, or if no more is asked for.
async fn next(arriving: &mut Option<Arriving>) -> Option<<Arriving as futures::Stream>::Item> {
    arriving.as_mut()?.next().await
}

/// What has arrived and isn't begun: another replica handles it at once. JetStream would wait for [`ACK_WAIT`], and requests
/// that name what an event is about would wait, too.
async fn give_back(mut arriving: Arriving, mut left: Vec<Message>) {
    while let Some(Some(chunk)) = arriving.next().now_or_never() {
        left.extend(chunk.into_iter().flatten());
    }
    // First nothing more is asked for: it would come back.
    drop(arriving);
    tokio::task::yield_now().await;
    for message in left {
        if let Err(error) = message.ack_with(AckKind::Nak(None)).await {
            tracing::debug!(%error, "could not give a message back, it will be redelivered");
        }
    }
}

fn key_of(info: &Info<'_>) -> MessageKey {
    (info.stream_sequence, info.published.unix_timestamp_nanos())
}

fn milliseconds_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

/// What a message's headers say about it.
struct Headers<'a> {
    subject: &'a str,
    id: Option<&'a str>,
    traceparent: Option<&'a str>,
}

impl<'a> Headers<'a> {
    fn of(message: &'a Message) -> Self {
        let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str());
        Headers {
            subject: &message.subject,
            id: header("ce-id"),
            traceparent: header(telemetry::TRACEPARENT),
        }
    }

    fn trace_id(&self) -> Option<&'a str> {
        self.traceparent.and_then(telemetry::trace_id_of)
    }

    fn handling(&self, consumer: &'a str) -> spans::Handling<'a> {
        let Headers { subject, id, traceparent } = *self;
        spans::Handling { subject, id, consumer, traceparent }
    }
}

/// Messages that are handled together.
#[derive(Clone, Default)]
struct Batch {
    waiting: Vec<Message>,
    /// Whether those before are being handled.
    is_handled: bool,
}

impl Batch {
    /// What is to be handled next. None: nothing waits, or for those before.
    fn begin(&mut self) -> Option<Vec<Message>> {
        let begins = !self.is_handled && !self.waiting.is_empty();
        begins.then(|| {
            self.is_handled = true;
            std::mem::take(&mut self.waiting)
        })
    }
}

fn record(message: &Message) {
    let subject = Subject::label(&message.subject);
    metrics::counter!("events_handled_total", "subject" => subject).increment(1);
}

fn failure_pause(failures: u32) -> Duration {
    back_off(failures, Duration::from_millis(100), Duration::from_secs(30))
}

/// At first short: the next delivery may reach a replica of the version that understands it.
fn unknown_pause(deliveries: i64) -> Duration {
    let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
    back_off(deliveries, Duration::from_millis(200), Duration::from_secs(60))
}

fn dependency_pause(deliveries: i64) -> Duration {
    let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
    back_off(deliveries, Duration::from_secs(1), Duration::from_secs(30))
}

fn is_missing(error: &ConsumerError) -> bool {
    match error.kind() {
        ConsumerErrorKind::JetStream(error) => error.error_code() == ErrorCode::CONSUMER_NOT_FOUND,
        ConsumerErrorKind::TimedOut
        | ConsumerErrorKind::Request
        | ConsumerErrorKind::InvalidConsumerType
        | ConsumerErrorKind::InvalidName
        | ConsumerErrorKind::Other => false,
    }
}
