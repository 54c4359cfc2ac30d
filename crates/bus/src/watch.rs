//! Ephemeral subscriptions: new events as they are published, for live pages, which store nothing of them.
//!
//! Each is an ordered consumer per stream and process: in memory, of new messages only, without acknowledgements. Each
//! message and each heartbeat carries the number of messages so far, so that a loss is noticed. What was lost is not
//! fetched: the subscription restarts at the present and reports [`WatchEvent::Resync`]. It leaves nothing on the broker
//! and publishes nothing.
//!
//! async-nats' own ordered consumer recovers silently, and not as needed here: if nothing has arrived yet, it restarts at
//! the stream's first message, and in a stream that was wiped, after everything that is in it.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use async_nats::header::NATS_LAST_CONSUMER;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use common::events::Stream;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::connection::Bus;

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
        let watchers =
            streams.into_iter().map(|stream| self.watch_with_reconnect(stream, &stop, &on_event));
        futures::future::join_all(watchers).await;
    }

    async fn watch_with_reconnect(
        &self,
        stream: Stream,
        stop: &CancellationToken,
        on_event: &(impl Fn(WatchEvent<'_>) + Sync),
    ) {
        let connected = metrics::gauge!("watcher_connected", "stream" => stream.name());
        let on_event = |event: WatchEvent<'_>| {
            connected.set(1.0);
            on_event(event);
        };
        let watching = async {
            loop {
                let Err(error) = self.watch_until_disconnected(stream, &on_event).await;
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
        stream: Stream,
        on_event: &(impl Fn(WatchEvent<'_>) + Sync),
    ) -> anyhow::Result<Infallible> {
        let mut disconnections = self.disconnections.clone();
        disconnections.mark_unchanged();
        let inbox = self.client.new_inbox();
        let mut messages = self.client.subscribe(inbox.clone()).await?;
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::None,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: INACTIVE_THRESHOLD,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let consumer = self.jetstream.create_consumer_on_stream(config, stream.name());
        consumer.await.context("creating the consumer")?;
        on_event(WatchEvent::Resync(stream));

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
            let sent = message.info().map_err(|error| anyhow!(error))?.consumer_sequence;
            ensure!(sent == received, "messages were lost");
            on_event(WatchEvent::Event { subject: &message.subject, data: &message.payload });
        }
    }
}

/// How many messages the consumer has sent, as its heartbeat says.
fn sent_so_far(heartbeat: &async_nats::Message) -> anyhow::Result<u64> {
    let headers = heartbeat.headers.as_ref().context("a heartbeat without headers")?;
    let sent = headers.get_last(NATS_LAST_CONSUMER).context("a heartbeat without a number")?;
    sent.as_str().parse().context("a heartbeat's number")
}
