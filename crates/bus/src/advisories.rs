//! JetStream's advisories about messages that it stops delivering: those become dead letters too.
//!
//! Our consumers redeliver indefinitely, and our listeners publish a dead letter before they terminate a message. So
//! there are no such advisories unless somebody changes a consumer, or terminates a message by other means. They are
//! stored in a stream of their own until the service that owns the consumer has published the dead letter.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind};
use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::connection::Bus;
use crate::dead_letters::{Undeliverable, publish_dead_letter};
use crate::streams::{ADVISORIES, advisories_about};

/// The reason that a listener gives when it terminates a message for which it has published a dead letter.
pub(crate) const DEAD_LETTERED: &str = "dead-lettered";
/// JetStream's own reason when a message is removed from its stream while it is unacknowledged: by a limit, a purge, a deletion.
const REMOVED: &str = "Unacknowledged message was deleted";
/// How often the dead letters are counted.
const COUNT: Duration = Duration::from_secs(15);

/// <https://github.com/nats-io/jsm.go/tree/main/schemas/jetstream/advisory/v1>
#[derive(Debug, Deserialize)]
struct Advisory {
    stream: String,
    stream_seq: u64,
    deliveries: i64,
    #[serde(default)]
    reason: Option<String>,
}

/// Publishes dead letters for what JetStream stopped delivering, and counts this service's dead letters, until `stop` is
/// cancelled.
pub(crate) async fn run(bus: Bus, stop: CancellationToken) {
    const PAUSE: Duration = Duration::from_millis(500);
    while !stop.is_cancelled() {
        if let Err(error) = consume_advisories(&bus, &stop).await {
            tracing::debug!(error = format!("{error:#}"), "recreating consumer of advisories");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn consume_advisories(bus: &Bus, stop: &CancellationToken) -> anyhow::Result<()> {
    bus.ensure_dead_letter_streams().await?;
    let config = pull::Config {
        durable_name: Some(bus.service().to_owned()),
        filter_subject: advisories_about(bus.service()),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    let consumer: async_nats::jetstream::consumer::Consumer<pull::Config> =
        bus.jetstream.create_consumer_on_stream(config, ADVISORIES).await?;
    let pulled = consumer.stream().max_messages_per_batch(16).heartbeat(Duration::from_secs(2));
    let mut messages = pulled.expires(Duration::from_secs(5)).messages().await?;
    let mut count = tokio::time::interval(COUNT);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = count.tick() => {
                let letters = bus.count_dead_letters().await?;
                metrics::gauge!("dead_letters").set(u32::try_from(letters).unwrap_or(u32::MAX));
            }
            message = messages.next() => {
                let message = message.context("no more messages")??;
                let kind = handle_advisory(bus, &message).await?;
                message.ack_with(kind).await.map_err(|error| anyhow!(error))?;
            }
        }
    }
}

async fn handle_advisory(bus: &Bus, message: &Message) -> anyhow::Result<AckKind> {
    let advisory: Advisory = match serde_json::from_slice(&message.payload) {
        Ok(advisory) => advisory,
        Err(error) => {
            tracing::error!(subject = %message.subject, %error, "not an advisory");
            return Ok(AckKind::Term);
        }
    };
    if advisory.reason.as_deref() == Some(DEAD_LETTERED) {
        return Ok(AckKind::Ack);
    }
    // It may still be readable, for a moment: that it becomes a dead letter must not depend on it.
    if advisory.reason.as_deref() == Some(REMOVED) {
        return Ok(acknowledge_gone(&advisory));
    }
    let stream = bus.reader(&advisory.stream).await?;
    let original = match stream.get_raw_message(advisory.stream_seq).await {
        Ok(original) => original,
        Err(error) if is_gone(&error) => return Ok(acknowledge_gone(&advisory)),
        Err(error) => return Err(error.into()),
    };
    let undeliverable = Undeliverable {
        subject: original.subject.to_string(),
        headers: original.headers,
        payload: original.payload.to_vec(),
        stream: advisory.stream,
        sequence: advisory.stream_seq,
        published: original.time.unix_timestamp_nanos(),
        deliveries: advisory.deliveries,
    };
    let reason = match advisory.reason {
        Some(reason) => format!("terminated by other means: {reason}"),
        None if message.subject.contains("MSG_TERMINATED") => {
            "terminated by other means".to_owned()
        }
        None => "maximum deliveries reached".to_owned(),
    };
    publish_dead_letter(bus, undeliverable, &reason).await?;
    Ok(AckKind::Ack)
}

/// Its publisher has to republish it.
fn acknowledge_gone(advisory: &Advisory) -> AckKind {
    tracing::error!(?advisory, "JetStream stopped delivering a message that no longer exists");
    AckKind::Ack
}

fn is_gone(error: &RawMessageError) -> bool {
    match error.kind() {
        RawMessageErrorKind::NoMessageFound | RawMessageErrorKind::JetStream(_) => true,
        RawMessageErrorKind::InvalidSubject | RawMessageErrorKind::Other => false,
    }
}
