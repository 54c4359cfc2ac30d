//! What JetStream says about messages that it gives up by itself: they are dead letters too.
//!
//! Our consumers try for ever and our listeners bury what they terminate, so it has nothing to say, unless
//! someone changes a consumer or terminates a message by other means. Its advisories are kept in a stream
//! of their own until the service whose consumer it was has buried the message.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind};
use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Bus;
use super::dead::{self, Corpse};

pub(super) const STREAM: &str = "ADVISORIES";
pub(super) const SUBJECTS: [&str; 2] = [
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
];
/// Those about a service's consumers: the last two words of the subject are the stream's and the consumer's name.
pub(super) fn about_consumers_of(service: &str) -> String {
    format!("$JS.EVENT.ADVISORY.CONSUMER.*.*.{service}")
}

/// How long one waits for a service that isn't there; those about others' consumers wait in vain.
pub(super) const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Room for a hundred thousand of them.
pub(super) const MAX_BYTES: i64 = 64 * 1024 * 1024;
/// What a listener says to JetStream when it terminates a message that it has buried itself.
pub(super) const BURIED: &str = "buried";
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

/// Buries what JetStream gave up, and counts this service's dead letters, until it is told to stop.
pub(super) async fn attend(bus: Bus, stop: CancellationToken) {
    const PAUSE: Duration = Duration::from_millis(500);
    while !stop.is_cancelled() {
        if let Err(error) = bury_what_was_given_up(&bus, &stop).await {
            tracing::debug!(error = format!("{error:#}"), "asking for advisories anew");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn bury_what_was_given_up(bus: &Bus, stop: &CancellationToken) -> anyhow::Result<()> {
    bus.ensure_dead().await?;
    let config = pull::Config {
        durable_name: Some(bus.service().to_owned()),
        filter_subject: about_consumers_of(bus.service()),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    let consumer: async_nats::jetstream::consumer::Consumer<pull::Config> =
        bus.jetstream.create_consumer_on_stream(config, STREAM).await?;
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
                let kind = heed(bus, &message).await?;
                message.ack_with(kind).await.map_err(|error| anyhow!(error))?;
            }
        }
    }
}

async fn heed(bus: &Bus, message: &Message) -> anyhow::Result<AckKind> {
    let advisory: Advisory = match serde_json::from_slice(&message.payload) {
        Ok(advisory) => advisory,
        Err(error) => {
            tracing::error!(subject = %message.subject, %error, "not an advisory");
            return Ok(AckKind::Term);
        }
    };
    if advisory.reason.as_deref() == Some(BURIED) {
        return Ok(AckKind::Ack);
    }
    let stream = bus.reader(&advisory.stream).await?;
    let given_up = match stream.get_raw_message(advisory.stream_seq).await {
        Ok(given_up) => given_up,
        Err(error) if is_gone(&error) => {
            tracing::error!(?advisory, "JetStream gave up a message that is gone");
            return Ok(AckKind::Ack);
        }
        Err(error) => return Err(error.into()),
    };
    let corpse = Corpse {
        subject: given_up.subject.to_string(),
        headers: given_up.headers,
        payload: given_up.payload.to_vec(),
        stream: advisory.stream,
        sequence: advisory.stream_seq,
        published: given_up.time.unix_timestamp_nanos(),
        tries: advisory.deliveries,
    };
    let reason = match advisory.reason {
        Some(reason) => format!("terminated by other means: {reason}"),
        None if message.subject.contains("MSG_TERMINATED") => {
            "terminated by other means".to_owned()
        }
        None => "JetStream has given it up: its deliveries are used up".to_owned(),
    };
    dead::bury(bus, corpse, &reason).await?;
    Ok(AckKind::Ack)
}

fn is_gone(error: &RawMessageError) -> bool {
    match error.kind() {
        RawMessageErrorKind::NoMessageFound | RawMessageErrorKind::JetStream(_) => true,
        RawMessageErrorKind::InvalidSubject | RawMessageErrorKind::Other => false,
    }
}
