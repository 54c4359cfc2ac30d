//! The event bus: NATS JetStream behind a transactional outbox.
//!
//! There is one way to publish: [`outbox::Aggregates`] stores an event together with the state that it
//! tells of, and its relay hands it to JetStream until that has acknowledged it. There is one way to
//! listen: [`listen::Listeners`]; and one to look on without taking part: [`Bus::watch`]. The client itself is
//! private to this module.

mod advisories;
pub mod dead;
pub mod listen;
pub mod outbox;
mod relay;
mod requests;
mod retell;
mod settings;
mod streams;
pub mod users;
pub mod watch;

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use async_nats::{Event, HeaderMap, connection};
use url::Url;

pub use dead::Letter;
pub use listen::{Failure, Feeds, Listeners};
pub use outbox::{Aggregate, Aggregates, Announcement, Change, Contended};
pub use requests::REQUESTS;
pub use retell::{RESTORED, Retelling, Told};
pub use users::{OPERATOR, User, users};
pub use watch::Sight;

use crate::config::{NatsSettings, StreamSettings};

/// A service's connection to the bus. Made at once, also while the broker is down: it connects, and
/// connects again, in the background.
#[derive(Clone)]
pub struct Bus {
    service: &'static str,
    streams: StreamSettings,
    monitor: Option<Url>,
    client: async_nats::Client,
    jetstream: jetstream::Context,
    /// How often the connection was lost.
    disconnections: tokio::sync::watch::Receiver<u64>,
}

impl Bus {
    pub async fn connect(settings: &NatsSettings, service: &'static str) -> anyhow::Result<Self> {
        let (disconnected, disconnections) = tokio::sync::watch::channel(0);
        let (address, user) = users::split(&settings.nats_url);
        let options = match user {
            Some((name, password)) => {
                async_nats::ConnectOptions::with_user_and_password(name, password)
            }
            None => async_nats::ConnectOptions::new(),
        };
        let client = options
            .name(service)
            // A service may hear no other's answers.
            .custom_inbox_prefix(users::inbox_of(service))
            .retry_on_initial_connect()
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis(u64::try_from(attempts * 50).unwrap_or(u64::MAX).min(500))
            })
            .event_callback(move |event| {
                tracing::info!(%event, "nats");
                if event == Event::Disconnected {
                    disconnected.send_modify(|times| *times += 1);
                }
                std::future::ready(())
            })
            .connect(address)
            .await
            .context("NATS_URL")?;
        let jetstream = jetstream::new(client.clone());
        let (streams, monitor) = (settings.streams.clone(), settings.nats_monitor_url.clone());
        Ok(Bus { service, streams, monitor, client, jetstream, disconnections })
    }

    pub fn service(&self) -> &'static str {
        self.service
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == connection::State::Connected
    }

    /// Publishes and waits until JetStream has stored the message.
    async fn publish(
        &self,
        subject: &str,
        id: &str,
        headers: HeaderMap,
        data: String,
    ) -> anyhow::Result<()> {
        let message = PublishMessage::build().headers(headers).message_id(id).payload(data.into());
        self.jetstream.send_publish(subject.to_owned(), message).await?.await?;
        Ok(())
    }

    /// Tells JetStream that a message is not to come again, and why: it says so in an advisory.
    async fn terminate(&self, message: &jetstream::Message, why: &str) -> anyhow::Result<()> {
        let reply = message.reply.clone().context("a message that can't be answered")?;
        self.client.publish(reply, format!("+TERM {why}").into()).await?;
        Ok(())
    }
}
