//! The other services' side of the bus: publishing what they would publish, looking at what was told.

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
    /// By service, what [`Bus::hears`] has seen.
    hears: Mutex<BTreeMap<String, BTreeSet<Stream>>>,
}

/// A message that a service gave up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Which service gave it up.
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
        Bus { client, jetstream, clock, hears: Mutex::default() }
    }

    /// Makes everybody's streams, as the services that publish to them do. Done when the test begins;
    /// to be done again after the broker was wiped.
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
            // Right after a restart the client may not be connected again yet.
            eventually(&format!("the stream {name}"), || async {
                self.jetstream.create_or_update_stream(config.clone()).await.ok()
            })
            .await;
        }
    }

    /// Publishes an event as its service's relay does: under its id, so that JetStream drops a second one.
    pub async fn publish<E: Event>(&self, event: &E) {
        self.publish_as(event, &event.id()).await;
    }

    /// Publishes an event once more and gets it past JetStream's duplicate window: what happens when a
    /// relay comes back after longer than that.
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

    /// Publishes what may be no event at all.
    pub async fn publish_raw(&self, subject: &str, body: impl Into<Vec<u8>>) {
        let message = PublishMessage::build().payload(body.into().into());
        self.send(subject, message).await;
    }

    async fn send(&self, subject: &str, message: PublishMessage) {
        let sent = self.jetstream.send_publish(subject.to_owned(), message).await;
        let stored = sent.unwrap_or_else(|error| panic!("publishing to {subject}: {error}")).await;
        stored.unwrap_or_else(|error| panic!("publishing to {subject}: {error}"));
    }

    /// Waits until `service` listens to all of these streams. From then on [`Bus::settled`] means them
    /// all; before, a consumer that isn't there yet has nothing to do.
    pub async fn hears(&self, service: &str, streams: &[Stream]) {
        for stream in streams {
            eventually(&format!("{service} to listen to {}", stream.name()), || async {
                self.work_of(service, *stream).await
            })
            .await;
        }
        let mut hears = self.hears.lock().unwrap_or_else(PoisonError::into_inner);
        hears.entry(service.to_owned()).or_default().extend(streams);
    }

    /// Waits until `service` has nothing left to hear: each of its consumers has delivered all, and all
    /// of that is answered. A message that is put off to a later time counts as unanswered.
    pub async fn settled(&self, service: &str) {
        let heard = {
            let hears = self.hears.lock().unwrap_or_else(PoisonError::into_inner);
            hears.get(service).cloned().unwrap_or_default()
        };
        eventually(&format!("{service} to have handled all events"), || async {
            // A consumer learns of a stored message a moment after its publisher: so it is asked twice.
            self.is_idle(service, &heard).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.is_idle(service, &heard).await
        })
        .await;
    }

    async fn is_idle(&self, service: &str, heard: &BTreeSet<Stream>) -> Option<()> {
        let mut consumers = 0;
        for stream in Stream::ALL {
            match self.work_of(service, stream).await {
                Some(0) => consumers += 1,
                Some(_) => return None,
                None if heard.contains(&stream) => return None,
                None => {}
            }
        }
        (consumers > 0).then_some(())
    }

    /// How many messages of a stream a service has not answered; none if it doesn't listen to it.
    async fn work_of(&self, service: &str, stream: Stream) -> Option<u64> {
        let stream = self.jetstream.get_stream_no_info(stream.name()).await.ok()?;
        let consumer = stream.consumer_info(service).await.ok()?;
        Some(consumer.num_pending + u64::try_from(consumer.num_ack_pending).unwrap_or(u64::MAX))
    }

    /// Whether `service` has got a message of the stream a second time and not answered it for good: what
    /// it puts off to a later time.
    pub async fn is_delivered_again(&self, service: &str, stream: Stream) -> bool {
        let Ok(stream) = self.jetstream.get_stream_no_info(stream.name()).await else {
            return false;
        };
        stream.consumer_info(service).await.is_ok_and(|consumer| consumer.num_redelivered > 0)
    }

    /// What a stream is; none if it isn't there.
    pub async fn try_stream(&self, name: &str) -> Option<stream::Info> {
        Some(self.jetstream.get_stream(name).await.ok()?.cached_info().clone())
    }

    /// How many consumers a stream has, whoever made them.
    pub async fn consumers(&self, stream: Stream) -> usize {
        // It only fails if the stream isn't there.
        let stream = self.jetstream.get_stream(stream.name()).await.expect("the stream");
        stream.cached_info().state.consumer_count
    }

    /// Deletes a stream under everybody's eyes, as an operator might.
    pub async fn delete_stream(&self, stream: Stream) {
        self.jetstream.delete_stream(stream.name()).await.expect("the stream can be deleted");
    }

    /// Every event of a kind that is on the bus, in order, also those that the test published.
    pub async fn published<E: Event>(&self) -> Vec<E> {
        let messages = self.messages(E::SUBJECT.stream().name(), E::SUBJECT.as_str()).await;
        messages.iter().map(|message| read::<E>(E::SUBJECT.as_str(), &message.payload)).collect()
    }

    /// The first event of a kind that fits, as soon as it is on the bus.
    pub async fn wait_for<E: Event>(&self, fits: impl Fn(&E) -> bool) -> E {
        eventually(&format!("a fitting {}", E::SUBJECT), || async {
            self.published::<E>().await.into_iter().find(|event| fits(event))
        })
        .await
    }

    /// Waits until a stream that had to be made anew has been told all documents of a kind.
    pub async fn is_told(&self, stream: &str, kind: &str) {
        eventually(&format!("{stream} to be told of all {kind}"), || async {
            let stream = self.jetstream.get_stream(stream).await.ok()?;
            let metadata = &stream.cached_info().config.metadata;
            metadata.contains_key(&format!("replayed-{kind}")).then_some(())
        })
        .await;
    }

    /// How many messages a subject has, whatever they say.
    pub async fn count(&self, stream: Stream, subject: &str) -> usize {
        self.messages(stream.name(), subject).await.len()
    }

    /// Headers of every message of a kind of event, in order: what CloudEvents says of it.
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

    /// Gives a service's consumer up after so many deliveries, as somebody might with another tool.
    pub async fn limit_deliveries(&self, service: &str, stream: Stream, deliveries: i64) {
        let of = self.jetstream.get_stream(stream.name()).await.expect("a stream");
        let there = of.consumer_info(service).await.expect("a consumer");
        let mut config = pull::Config::try_from_consumer_config(there.config).expect("it pulls");
        config.max_deliver = deliveries;
        of.create_consumer(config).await.expect("a changed consumer");
    }

    /// Terminates a message that a service has got and not answered for good, as somebody might.
    pub async fn terminate(&self, service: &str, stream: Stream, sequence: u64, why: &str) {
        let reply = format!("$JS.ACK.{}.{service}.1.{sequence}.{sequence}.1.0", stream.name());
        let sent = self.client.publish(reply, format!("+TERM {why}").into()).await;
        sent.expect("the broker is there");
    }

    /// Puts an event among a service's dead letters, as if it had given it up.
    pub async fn bury<E: Event>(&self, service: &str, event: &E, reason: &str) {
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

    /// Fills `DEAD`, whose size must be limited, with a service's letters until it takes not even the smallest.
    pub async fn fill_dead(&self, service: &str) {
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

    /// How many advisories of JetStream's about a service's consumers wait for it.
    pub async fn advisories(&self, service: &str) -> usize {
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.*.*.{service}");
        self.messages("ADVISORIES", &subject).await.len()
    }

    /// Every message that was given up so far.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let messages = self.messages(DEAD, DEAD_SUBJECTS).await;
        messages.iter().map(dead_letter).collect()
    }

    async fn messages(&self, stream: &str, subject: &str) -> Vec<StreamMessage> {
        // It only fails for a name that can't be a stream's.
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
