//! A service's connection to NATS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use async_nats::{Event, HeaderMap, connection};
use percent_encoding::percent_decode_str;
use tokio::sync::Mutex;
use url::Url;

use common::events::Stream;

use crate::settings::{NatsSettings, StreamSettings};

/// A service's connection to the bus. It is there at once, also while the broker is down: connecting and
/// reconnecting happen in the background.
#[derive(Clone)]
pub struct Bus {
    service: &'static str,
    pub(crate) streams: StreamSettings,
    pub(crate) monitor: Option<Url>,
    pub(crate) client: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    /// How often the connection was lost.
    pub(crate) disconnections: tokio::sync::watch::Receiver<u64>,
    /// Held while a stream is marked: the relays of several collections do that at once, and each writes back what it has read.
    pub(crate) marking: Arc<Mutex<()>>,
}

impl Bus {
    /// Begins to connect as the user whom `NATS_URL` names; fails only for an address that can't be one.
    pub async fn connect(settings: &NatsSettings, service: &'static str) -> anyhow::Result<Self> {
        let (disconnected, disconnections) = tokio::sync::watch::channel(0);
        let (address, user) = split(&settings.nats_url);
        let options = match user {
            Some((name, password)) => {
                async_nats::ConnectOptions::with_user_and_password(name, password)
            }
            None => async_nats::ConnectOptions::new(),
        };
        let client = options
            .name(service)
            // A service may not receive the responses to another one.
            .custom_inbox_prefix(inbox_of(service))
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
        let marking = Arc::default();
        Ok(Bus { service, streams, monitor, client, jetstream, disconnections, marking })
    }

    /// Whose connection it is.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The streams that this service publishes to.
    pub fn own_streams(&self) -> impl Iterator<Item = Stream> + use<> {
        let service = self.service;
        Stream::ALL.into_iter().filter(move |stream| stream.publisher() == service)
    }

    /// Whether the broker can be reached at present.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == connection::State::Connected
    }

    /// Publishes and waits until JetStream has stored the message.
    pub(crate) async fn publish_message(
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

    /// Terminates a message, so that JetStream doesn't deliver it again; the reason goes into an advisory.
    pub(crate) async fn terminate(
        &self,
        message: &jetstream::Message,
        reason: &str,
    ) -> anyhow::Result<()> {
        let reply = message.reply.clone().context("a message without a reply subject")?;
        self.client.publish(reply, format!("+TERM {reason}").into()).await?;
        Ok(())
    }
}

/// The prefix of the subjects on which a service receives responses.
pub(crate) fn inbox_of(service: &str) -> String {
    format!("_INBOX_{service}")
}

/// The address in `NATS_URL`, and the user and password in it, which the client would ignore there.
pub(crate) fn split(nats_url: &str) -> (String, Option<(String, String)>) {
    let Ok(mut url) = Url::parse(nats_url) else { return (nats_url.to_owned(), None) };
    let Some(password) = url.password().map(decoded) else { return (nats_url.to_owned(), None) };
    let user = decoded(url.username());
    // It fails for an address without a host, which the client will refuse.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    (url.into(), Some((user, password)))
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_carries_user_and_password_as_a_database_url_does() {
        let plain = "nats://127.0.0.1:4222";
        assert_eq!(split(plain), (plain.to_owned(), None));
        assert_eq!(split("127.0.0.1:4222"), ("127.0.0.1:4222".to_owned(), None));
        let (address, user) = split("nats://orders:p%40ss@nats:4222");
        assert_eq!(address, "nats://nats:4222");
        assert_eq!(user, Some(("orders".to_owned(), "p@ss".to_owned())));
    }
}
