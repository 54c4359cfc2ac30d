//! Watching: what happens on the bus, as it happens, for whoever shows it and keeps nothing of it.
//!
//! A watcher is an ordered consumer per stream and process: ephemeral, in memory, of new messages only, without
//! acknowledgements. Each message and each heartbeat says how many messages there have been, so none
//! is lost unnoticed. What was lost is not looked for: the watcher begins anew with what is new, and says
//! so. It leaves nothing on the broker and publishes nothing.
//!
//! async-nats' own ordered consumer mends itself in silence, and not as it is needed here: if nothing has come yet, it
//! begins anew at the stream's very first message, and in a stream that was wiped, behind all that is in it.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use async_nats::header::NATS_LAST_CONSUMER;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::Bus;
use crate::events::Stream;

/// How often the broker says that it is there, and how many messages it has sent.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Who hears nothing for so long is cut off.
const SILENCE: Duration = Duration::from_secs(5);
/// The broker forgets a consumer that nobody has listened to for so long.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// What a watcher sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight<'a> {
    /// From now on it sees everything that is published to the stream; of what was published before, it may have
    /// missed some. So it begins, and so it goes on after it was cut off.
    Begins(Stream),
    /// An event, as it was published.
    Event { subject: &'a str, data: &'a [u8] },
}

impl Bus {
    /// Watches the streams until it is told to stop, and shows `see` all that it sees. A stream that isn't
    /// there (yet, or any more) is asked for until it is. NATS lets those alone watch whom the catalogue names
    /// ([`Stream::watchers`]).
    pub async fn watch(
        &self,
        streams: impl IntoIterator<Item = Stream>,
        stop: CancellationToken,
        see: impl Fn(Sight<'_>) + Sync,
    ) {
        let watchers = streams.into_iter().map(|stream| self.watch_always(stream, &stop, &see));
        futures::future::join_all(watchers).await;
    }

    async fn watch_always(
        &self,
        stream: Stream,
        stop: &CancellationToken,
        see: &(impl Fn(Sight<'_>) + Sync),
    ) {
        let connected = metrics::gauge!("watcher_connected", "stream" => stream.name());
        let see = |sight: Sight<'_>| {
            connected.set(1.0);
            see(sight);
        };
        let watching = async {
            loop {
                let Err(error) = self.watch_until_cut_off(stream, &see).await;
                connected.set(0.0);
                let error = format!("{error:#}");
                tracing::debug!(stream = stream.name(), error, "watching anew");
                tokio::time::sleep(PAUSE).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn watch_until_cut_off(
        &self,
        stream: Stream,
        see: &(impl Fn(Sight<'_>) + Sync),
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
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let consumer = self.jetstream.create_consumer_on_stream(config, stream.name());
        consumer.await.context("making the consumer")?;
        see(Sight::Begins(stream));

        let mut seen = 0;
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, messages.next()) => message,
                _ = disconnections.changed() => bail!("the connection was lost"),
            };
            let message = message.context("no heartbeat")?.context("no subscription any more")?;
            if message.status.is_some() {
                ensure!(sent_so_far(&message)? == seen, "messages were lost");
                continue;
            }
            let message = jetstream::Message { message, context: self.jetstream.clone() };
            seen += 1;
            let sent = message.info().map_err(|error| anyhow!(error))?.consumer_sequence;
            ensure!(sent == seen, "messages were lost");
            see(Sight::Event { subject: &message.subject, data: &message.payload });
        }
    }
}

/// How many messages the consumer has sent, as its heartbeat says.
fn sent_so_far(heartbeat: &async_nats::Message) -> anyhow::Result<u64> {
    let headers = heartbeat.headers.as_ref().context("a heartbeat without headers")?;
    let sent = headers.get_last(NATS_LAST_CONSUMER).context("a heartbeat without a number")?;
    sent.as_str().parse().context("a heartbeat's number")
}
