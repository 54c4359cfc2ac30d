//! The bus as the other services use it: publishes their events, and reads what was published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{FromConsumer, pull};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::{self, stream};
use bus::{DEAD, DEAD_SUBJECTS};
use common::Clock;
use common::events::{Event, Stream};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::wait::eventually;

/// A connection to the test's broker.
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    clock: Clock,
    /// By service, the consumers that [`Bus::wait_for_consumers`] has seen.
    consumers: Mutex<BTreeMap<String, BTreeSet<Stream>>>,
}

/// A message that a service could not handle.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The service that dead-lettered it.
    pub service: String,
    /// The subject that it was published to.
    pub subject: String,
    pub stream: String,
    pub sequence: u64,
    pub reason: String,
    pub body: String,
}

impl Bus {
    pub(crate) async fn connect(url: &str, clock: Clock) -> Self {
        let client = async_nats::ConnectOptions::new()
            .name("test")
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .connect(url)
            .await;
        let client = client.expect("nats-server's address");
        let jetstream = jetstream::new(client.clone());
        Bus { client, jetstream, clock, consumers: Mutex::default() }
    }

    /// Creates all streams, as their publishers do. Called at the start of a test; to be called again after the
    /// broker was wiped.
    pub async fn create_streams(&self) {
        let streams = Stream::ALL.map(|stream| (stream.name(), stream.subjects()));
        for (name, subjects) in streams.into_iter().chain([(DEAD, DEAD_SUBJECTS)]) {
            let config = stream::Config {
                name: name.to_owned(),
                subjects: vec![subjects.to_owned()],
                storage: stream::StorageType::File,
                num_replicas: 1,
                duplicate_window: Duration::from_secs(2 * 60),
                ..stream::Config::default()
            };
            // Right after a restart the client may not have reconnected yet.
            eventually(&format!("the stream {name}"), || async {
                self.jetstream.create_or_update_stream(config.clone()).await.ok()
            })
            .await;
        }
    }

    /// Publishes an event as its service's relay does: under its id, so that JetStream drops a duplicate.
    pub async fn publish<E: Event>(&self, event: &E) {
        self.publish_as(event, &event.id()).await;
    }

    /// Publishes an event once more under a new message id, so that JetStream's deduplication doesn't drop it: as when a
    /// relay recovers after the duplicate window.
    pub async fn publish_again<E: Event>(&self, event: &E) {
        self.publish_as(event, &Uuid::now_v7().to_string()).await;
    }

    async fn publish_as<E: Event>(&self, event: &E, message_id: &str) {
        let headers = self.headers_of(event);
        let data = serde_json::to_vec(event).expect("an event is JSON");
        let message = PublishMessage::build().headers(headers).message_id(message_id);
        self.send(E::SUBJECT.as_str(), message.payload(data.into())).await;
    }

    fn headers_of<E: Event>(&self, event: &E) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", event.id());
        headers.insert("ce-type", E::SUBJECT.as_str());
        headers.insert("ce-source", format!("/services/{}", E::SUBJECT.stream().publisher()));
        headers.insert("ce-time", self.clock.now().to_string());
        headers.insert("ce-subject", event.aggregate_id());
        headers.insert("content-type", "application/json");
        headers
    }

    /// Publishes an arbitrary body, which need not be a valid event.
    pub async fn publish_raw(&self, subject: &str, body: impl Into<Vec<u8>>) {
        let message = PublishMessage::build().payload(body.into().into());
        self.send(subject, message).await;
    }

    async fn send(&self, subject: &str, message: PublishMessage) {
        let sent = self.jetstream.send_publish(subject.to_owned(), message).await;
        let stored = sent.unwrap_or_else(|error| panic!("publishing to {subject}: {error}")).await;
        stored.unwrap_or_else(|error| panic!("publishing to {subject}: {error}"));
    }

    /// Waits until `service` has a consumer on each of these streams. From then on [`Bus::settled`] requires all of them;
    /// before, a missing consumer counts as idle.
    pub async fn wait_for_consumers(&self, service: &str, streams: &[Stream]) {
        for stream in streams {
            eventually(&format!("{service} to consume {}", stream.name()), || async {
                self.unacknowledged(service, *stream).await
            })
            .await;
        }
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        consumers.entry(service.to_owned()).or_default().extend(streams);
    }

    /// Waits until `service` has acknowledged every message of its consumers. A message that awaits redelivery counts as
    /// unacknowledged.
    pub async fn settled(&self, service: &str) {
        let expected = {
            let consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
            consumers.get(service).cloned().unwrap_or_default()
        };
        eventually(&format!("{service} to have handled all events"), || async {
            // A consumer's state lags a moment behind the acknowledgement to the publisher, so it is checked twice.
            self.is_idle(service, &expected).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.is_idle(service, &expected).await
        })
        .await;
    }

    async fn is_idle(&self, service: &str, expected: &BTreeSet<Stream>) -> Option<()> {
        let mut consumers = 0;
        for stream in Stream::ALL {
            match self.unacknowledged(service, stream).await {
                Some(0) => consumers += 1,
                Some(_) => return None,
                None if expected.contains(&stream) => return None,
                None => {}
            }
        }
        (consumers > 0).then_some(())
    }

    /// The number of messages of a stream that a service has not acknowledged; none if it has no consumer there.
    async fn unacknowledged(&self, service: &str, stream: Stream) -> Option<u64> {
        let stream = self.jetstream.get_stream_no_info(stream.name()).await.ok()?;
        let consumer = stream.consumer_info(service).await.ok()?;
        Some(consumer.num_pending + u64::try_from(consumer.num_ack_pending).unwrap_or(u64::MAX))
    }

    /// How often messages of the stream were delivered to `service`, again or for the first time.
    pub async fn deliveries(&self, service: &str, stream: Stream) -> u64 {
        let name = stream.name();
        let stream = self.jetstream.get_stream_no_info(name).await.expect("a stream's name");
        let consumer = stream.consumer_info(service).await;
        consumer.map_or(0, |consumer| consumer.delivered.consumer_sequence)
    }

    /// Whether a message of the stream was redelivered to `service` and is still unacknowledged.
    pub async fn is_redelivered(&self, service: &str, stream: Stream) -> bool {
        let Ok(stream) = self.jetstream.get_stream_no_info(stream.name()).await else {
            return false;
        };
        stream.consumer_info(service).await.is_ok_and(|consumer| consumer.num_redelivered > 0)
    }

    /// A stream's configuration and state; none if it doesn't exist.
    pub async fn try_stream(&self, name: &str) -> Option<stream::Info> {
        Some(self.jetstream.get_stream(name).await.ok()?.cached_info().clone())
    }

    /// The number of a stream's consumers, durable and ephemeral.
    pub async fn consumers(&self, stream: Stream) -> usize {
        // Fails only if the stream doesn't exist.
        let stream = self.jetstream.get_stream(stream.name()).await.expect("the stream");
        stream.cached_info().state.consumer_count
    }

    /// Deletes a stream that is in use, as an operator might.
    pub async fn delete_stream(&self, stream: Stream) {
        self.jetstream.delete_stream(stream.name()).await.expect("the stream can be deleted");
    }

    /// All events of a type on the bus, in order, including those that the test published.
    pub async fn published<E: Event>(&self) -> Vec<E> {
        let messages = self.messages(E::SUBJECT.stream().name(), E::SUBJECT.as_str()).await;
        messages.iter().map(|message| read::<E>(E::SUBJECT.as_str(), &message.payload)).collect()
    }

    /// Waits for the first event of a type that matches.
    pub async fn wait_for<E: Event>(&self, matches: impl Fn(&E) -> bool) -> E {
        eventually(&format!("a matching {}", E::SUBJECT), || async {
            self.published::<E>().await.into_iter().find(|event| matches(event))
        })
        .await
    }

    /// Waits until all documents of a kind have been republished to a recreated stream.
    pub async fn wait_for_replay(&self, stream: &str, kind: &str) {
        eventually(&format!("all {kind} to be republished to {stream}"), || async {
            let stream = self.jetstream.get_stream(stream).await.ok()?;
            let metadata = &stream.cached_info().config.metadata;
            // The prefix of the mark depends on the version that has set it.
            let mark = format!("-{kind}");
            metadata.keys().any(|key| key.ends_with(&mark)).then_some(())
        })
        .await;
    }

    /// The number of messages of a subject.
    pub async fn count(&self, stream: Stream, subject: &str) -> usize {
        self.messages(stream.name(), subject).await.len()
    }

    /// The CloudEvents headers of all messages of an event type, in order.
    pub async fn headers<E: Event>(&self) -> Vec<BTreeMap<String, String>> {
        let of_one = |message: &StreamMessage| {
            let headers = message.headers.iter();
            let first = |values: &[async_nats::HeaderValue]| {
                values.first().map(ToString::to_string).unwrap_or_default()
            };
            headers.map(|(name, values)| (name.to_string(), first(values))).collect()
        };
        self.messages(E::SUBJECT.stream().name(), E::SUBJECT.as_str())
            .await
            .iter()
            .map(of_one)
            .collect()
    }

    /// Limits the deliveries of a service's consumer, as an operator might with another tool.
    pub async fn limit_deliveries(&self, service: &str, stream: Stream, deliveries: i64) {
        let stream = self.jetstream.get_stream(stream.name()).await.expect("a stream");
        let info = stream.consumer_info(service).await.expect("a consumer");
        let mut config =
            pull::Config::try_from_consumer_config(info.config).expect("a pull consumer");
        config.max_deliver = deliveries;
        stream.create_consumer(config).await.expect("a changed consumer");
    }

    /// Terminates an unacknowledged message of a service's consumer, as an operator might.
    pub async fn terminate(&self, service: &str, stream: Stream, sequence: u64, why: &str) {
        let reply = format!("$JS.ACK.{}.{service}.1.{sequence}.{sequence}.1.0", stream.name());
        let sent = self.client.publish(reply, format!("+TERM {why}").into()).await;
        sent.expect("the broker is there");
    }

    /// Changes a stream's configuration, as an operator might.
    pub async fn edit_stream(&self, stream: Stream, edit: impl Fn(&mut stream::Config)) {
        let stream = self.jetstream.get_stream(stream.name()).await.expect("the stream");
        let mut config = stream.cached_info().config.clone();
        edit(&mut config);
        self.jetstream.update_stream(config).await.expect("a changed stream");
    }

    /// Publishes an event as a dead letter of a service.
    pub async fn publish_dead_letter<E: Event>(&self, service: &str, event: &E, reason: &str) {
        let mut headers = self.headers_of(event);
        headers.insert("dead-reason", reason);
        headers.insert("dead-service", service);
        headers.insert("dead-subject", E::SUBJECT.as_str());
        headers.insert("dead-stream", E::SUBJECT.stream().name());
        headers.insert("dead-sequence", "1");
        headers.insert("dead-tries", "1");
        let data = serde_json::to_vec(event).expect("an event is JSON");
        let message = PublishMessage::build().headers(headers).payload(data.into());
        self.send(&format!("dead.{service}.{}", E::SUBJECT), message).await;
    }

    /// Fills `DEAD`, whose size must be limited, with dead letters of a service until it rejects even the smallest.
    pub async fn fill_dead_letter_stream(&self, service: &str) {
        for size in [64 * 1024, 1024, 1] {
            loop {
                let mut headers = HeaderMap::new();
                headers.insert("dead-service", service);
                let letter = PublishMessage::build().headers(headers);
                let letter = letter.payload(vec![b'x'; size].into());
                let sent = self.jetstream.send_publish(format!("dead.{service}.x"), letter).await;
                if sent.expect("the broker is there").await.is_err() {
                    break;
                }
            }
        }
    }

    /// The number of pending JetStream advisories about a service's consumers.
    pub async fn advisories(&self, service: &str) -> usize {
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.*.*.{service}");
        self.messages("ADVISORIES", &subject).await.len()
    }

    /// All dead letters so far.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let messages = self.messages(DEAD, DEAD_SUBJECTS).await;
        messages.iter().map(dead_letter).collect()
    }

    async fn messages(&self, stream: &str, subject: &str) -> Vec<StreamMessage> {
        // Fails only for an invalid stream name.
        let stream = self.jetstream.get_stream_no_info(stream).await.expect("a stream's name");
        let mut messages = Vec::new();
        let mut next = 1;
        loop {
            let builder = stream.raw_message_builder().sequence(next).next_by_subject(subject);
            // No further message, or no such stream (yet).
            let Ok(message) = builder.send().await else { return messages };
            next = message.sequence + 1;
            messages.push(message);
        }
    }
}

fn dead_letter(message: &StreamMessage) -> DeadLetter {
    let header = |name: &str| message.headers.get(name).map(ToString::to_string);
    DeadLetter {
        service: header("dead-service").unwrap_or_default(),
        subject: header("dead-subject").unwrap_or_default(),
        stream: header("dead-stream").unwrap_or_default(),
        sequence: header("dead-sequence").and_then(|text| text.parse().ok()).unwrap_or_default(),
        reason: header("dead-reason").unwrap_or_default(),
        body: String::from_utf8_lossy(&message.payload).into_owned(),
    }
}

fn read<T: DeserializeOwned>(subject: &str, data: &[u8]) -> T {
    serde_json::from_slice(data).unwrap_or_else(|error| {
        panic!("a {subject} that can't be read: {error}: {}", String::from_utf8_lossy(data))
    })
}
