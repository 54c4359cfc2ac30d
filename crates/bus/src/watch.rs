//! Ephemeral subscriptions: events as they are published, for what every process keeps in memory: live pages, and which
//! session tokens are refused.
//!
//! Each is an ordered consumer per stream and process: in memory, without acknowledgements. Each message and each heartbeat
//! carries the number of messages so far, so that a loss is noticed. Then the subscription restarts: at the present, and
//! reports [`WatchEvent::Resync`] for what was lost, or with what was published within some time before
//! ([`Bus::watch_recent`]). It leaves nothing on the broker and publishes nothing.
//!
//! async-nats' own ordered consumer recovers silently, and not as needed here: if nothing has arrived yet, it restarts at
//! the stream's first message, and in a stream that was wiped, after everything that is in it.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use async_nats::header::NATS_LAST_CONSUMER;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use common::Clock;
use common::events::{Stream, Subject};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::connection::Bus;
use crate::time;

/// How often the broker sends a heartbeat, with the number of messages sent.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Without message or heartbeat for so long, the subscription counts as disconnected.
const SILENCE: Duration = Duration::from_secs(5);
/// The broker deletes a consumer without subscribers after this time.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(10);
/// Between two attempts to subscribe.
const PAUSE: Duration = Duration::from_millis(250);

/// What a subscription delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEvent<'a> {
    /// Everything that is published to the stream from now on is delivered; something published before may have been
    /// missed. Delivered at the start, and after each reconnection.
    Resync(Stream),
    /// Everything that was published recently is delivered ([`Bus::watch_recent`]).
    CaughtUp(Stream),
    /// An event, as it was published.
    Event {
        /// What it was published as.
        subject: &'a str,
        /// Its body.
        data: &'a [u8],
    },
}

impl Bus {
    /// Subscribes to the streams until `stop` is cancelled, and calls `on_event` for each event. A stream that doesn't
    /// exist is retried until it does. NATS permits it to those services that the catalogue names
    /// ([`Stream::watchers`]).
    pub async fn watch(
        &self,
        streams: impl IntoIterator<Item = Stream>,
        stop: CancellationToken,
        on_event: impl Fn(WatchEvent<'_>) + Sync,
    ) {
        let subscriptions: Vec<_> = streams.into_iter().map(Subscription::of_new).collect();
        let watchers = subscriptions
            .iter()
            .map(|subscription| self.watch_with_reconnect(subscription, &stop, &on_event));
        futures::future::join_all(watchers).await;
    }

    /// As [`Bus::watch`], of some subjects of one stream, and also of what was published so recently: at the start, and
    /// once more after each interruption. For what every process has to know, whenever it was started; an event may be
    /// delivered several times.
    pub async fn watch_recent(
        &self,
        stream: Stream,
        subjects: &[Subject],
        period: Duration,
        stop: CancellationToken,
        on_event: impl Fn(WatchEvent<'_>) + Sync,
    ) {
        let subjects = subjects.iter().map(ToString::to_string).collect();
        let subscription = Subscription { stream, subjects, recent: Some(period) };
        self.watch_with_reconnect(&subscription, &stop, &on_event).await;
    }

    async fn watch_with_reconnect(
        &self,
        subscription: &Subscription,
        stop: &CancellationToken,
        on_event: &(impl Fn(WatchEvent<'_>) + Sync),
    ) {
        let stream = subscription.stream;
        let connected = metrics::gauge!("watcher_connected", "stream" => stream.name());
        let on_event = |event: WatchEvent<'_>| {
            connected.set(1.0);
            on_event(event);
        };
        let watching = async {
            loop {
                let Err(error) = self.watch_until_disconnected(subscription, &on_event).await;
                connected.set(0.0);
                let error = format!("{error:#}");
                tracing::debug!(stream = stream.name(), error, "resubscribing");
                tokio::time::sleep(PAUSE).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn watch_until_disconnected(
        &self,
        subscription: &Subscription,
        on_event: &(impl Fn(WatchEvent<'_>) + Sync),
    ) -> anyhow::Result<Infallible> {
        let stream = subscription.stream;
        let mut disconnections = self.disconnections.clone();
        disconnections.mark_unchanged();
        let inbox = self.client.new_inbox();
        let mut messages = self.client.subscribe(inbox.clone()).await?;
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy: subscription.deliver_policy()?,
            filter_subjects: subscription.subjects.clone(),
            ack_policy: AckPolicy::None,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: INACTIVE_THRESHOLD,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let consumer = self.jetstream.create_consumer_on_stream(config, stream.name());
        let consumer = consumer.await.context("creating the consumer")?;
        on_event(WatchEvent::Resync(stream));
        let mut is_behind = subscription.recent.is_some();
        if is_behind && consumer.cached_info().num_pending == 0 {
            is_behind = false;
            on_event(WatchEvent::CaughtUp(stream));
        }

        let mut received = 0;
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, messages.next()) => message,
                _ = disconnections.changed() => bail!("the connection was lost"),
            };
            let message = message.context("no heartbeat")?.context("the subscription ended")?;
            if message.status.is_some() {
                ensure!(sent_so_far(&message)? == received, "messages were lost");
                continue;
            }
            let message = jetstream::Message { message, context: self.jetstream.clone() };
            received += 1;
            let info = message.info().map_err(|error| anyhow!(error))?;
            ensure!(info.consumer_sequence == received, "messages were lost");
            on_event(WatchEvent::Event { subject: &message.subject, data: &message.payload });
            if is_behind && info.pending == 0 {
                is_behind = false;
                on_event(WatchEvent::CaughtUp(stream));
            }
        }
    }
}

/// What is subscribed to.
struct Subscription {
    stream: Stream,
    /// None: all of the stream's.
    subjects: Vec<String>,
    /// How long ago what is delivered first may have been published. None: nothing from before the subscription.
    recent: Option<Duration>,
}

impl Subscription {
    fn of_new(stream: Stream) -> Self {
        Subscription { stream, subjects: Vec::new(), recent: None }
    }

    /// The broker's clock says when a message was published: ours, not that of the service, which a test may have set.
    fn deliver_policy(&self) -> anyhow::Result<DeliverPolicy> {
        let Some(period) = self.recent else { return Ok(DeliverPolicy::New) };
        let start_time = time::to_datetime(Clock::system().now() - period)?;
        Ok(DeliverPolicy::ByStartTime { start_time })
    }
}

/// How many messages the consumer has sent, as its heartbeat says.
fn sent_so_far(heartbeat: &async_nats::Message) -> anyhow::Result<u64> {
    let headers = heartbeat.headers.as_ref().context("a heartbeat without headers")?;
    let sent = headers.get_last(NATS_LAST_CONSUMER).context("a heartbeat without a number")?;
    sent.as_str().parse().context("a heartbeat's number")
}
