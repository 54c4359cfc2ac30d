//! Dead letters: a message that a listener can't handle is stored, with its reason, where an operator can list it and
//! replay it.

use anyhow::Context as _;
use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind};
use async_nats::jetstream::{ErrorCode, Message};
use common::Time;
use common::events::Subject;
use common::text::without_addresses;
use futures::TryStreamExt;

use crate::connection::Bus;
use crate::streams::{DEAD as STREAM, dead_subjects_of};
use crate::time;

/// A message that can't be handled, whether a listener or JetStream found that.
pub(crate) struct Undeliverable {
    pub subject: String,
    pub headers: HeaderMap,
    pub payload: Vec<u8>,
    pub stream: String,
    pub sequence: u64,
    /// When it was published, in nanoseconds: the sequence of a recreated stream starts at 1 again.
    pub published: i128,
    pub deliveries: i64,
}

impl Undeliverable {
    pub fn of(message: &Message) -> anyhow::Result<Self> {
        let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
        Ok(Undeliverable {
            subject: message.subject.to_string(),
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.to_vec(),
            stream: info.stream.to_owned(),
            sequence: info.stream_sequence,
            published: info.published.unix_timestamp_nanos(),
            deliveries: info.delivered,
        })
    }
}

/// Stores a message that `bus`'s service can't handle, and returns once JetStream has acknowledged it. A second call
/// for the same message, within the duplicate window, does nothing.
pub(crate) async fn publish_dead_letter(
    bus: &Bus,
    undeliverable: Undeliverable,
    reason: &str,
) -> anyhow::Result<()> {
    let service = bus.service();
    let Undeliverable {
        subject,
        headers: original,
        payload,
        stream,
        sequence,
        published,
        deliveries,
    } = undeliverable;
    let mut headers = HeaderMap::new();
    for (name, values) in original.iter() {
        // Under its own id, JetStream would discard it as a duplicate.
        if name.to_string().eq_ignore_ascii_case("Nats-Msg-Id") {
            continue;
        }
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert("dead-reason", one_line(reason).as_str());
    headers.insert("dead-service", service);
    headers.insert("dead-subject", subject.as_str());
    headers.insert("dead-stream", stream.as_str());
    headers.insert("dead-sequence", sequence.to_string());
    headers.insert("dead-tries", deliveries.to_string());

    let id = format!("dead:{service}:{stream}:{sequence}:{published}");
    let publish = PublishMessage::build().headers(headers).message_id(id).payload(payload.into());
    let stored = bus.jetstream.send_publish(format!("dead.{service}.{subject}"), publish);
    if stored.await?.await?.duplicate {
        return Ok(());
    }
    metrics::counter!("dead_letters_total", "subject" => Subject::label(&subject)).increment(1);
    let reason = &*without_addresses(reason);
    tracing::error!(subject, stream, sequence, deliveries, reason, "dead letter");
    Ok(())
}

/// A header's value can't hold line breaks.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A message that a service could not handle, as an operator sees it.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its sequence in `DEAD`, by which commands name it.
    pub number: u64,
    /// When it was dead-lettered.
    pub time: Time,
    /// Why, in one line.
    pub reason: String,
    /// What it was published as.
    pub subject: String,
    /// The stream that it was published to.
    pub stream: String,
    /// Its sequence there.
    pub sequence: String,
    /// How often it was delivered.
    pub deliveries: String,
    /// The message's own headers.
    pub headers: Vec<(String, String)>,
    /// The message's body.
    pub data: Vec<u8>,
}

impl DeadLetter {
    fn of(message: StreamMessage) -> Self {
        let header = |name: &str| {
            message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
        };
        let own = |name: &str| !name.starts_with("dead-") && !name.starts_with("Nats-");
        let headers = message.headers.iter().filter(|(name, _)| own(name.as_ref())).flat_map(
            |(name, values)| values.iter().map(move |value| (name.to_string(), value.to_string())),
        );
        DeadLetter {
            number: message.sequence,
            time: time::from_nanos(message.time.unix_timestamp_nanos()),
            reason: header("dead-reason"),
            subject: header("dead-subject"),
            stream: header("dead-stream"),
            sequence: header("dead-sequence"),
            deliveries: header("dead-tries"),
            headers: headers.collect(),
            data: message.payload.to_vec(),
        }
    }
}

impl Bus {
    /// This service's dead letters, the oldest first.
    pub async fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let stream = self.reader(STREAM).await?;
        let mut letters = Vec::new();
        let mut next = 1;
        loop {
            let builder = stream.raw_message_builder().sequence(next);
            match builder.next_by_subject(dead_subjects_of(self.service())).send().await {
                Ok(message) => {
                    next = message.sequence + 1;
                    letters.push(DeadLetter::of(message));
                }
                Err(error) if is_missing(&error) => return Ok(letters),
                Err(error) => return Err(error).context("reading the stream DEAD"),
            }
        }
    }

    /// The dead letter of this number, if it is this service's.
    pub async fn dead_letter(&self, number: u64) -> anyhow::Result<Option<DeadLetter>> {
        let stream = self.reader(STREAM).await?;
        match stream.get_raw_message(number).await {
            Ok(message) => {
                let prefix = format!("dead.{}.", self.service());
                let ours = message.subject.starts_with(&prefix);
                Ok(ours.then(|| DeadLetter::of(message)))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).context("reading the stream DEAD"),
        }
    }

    /// Removes a dead letter that was replayed successfully.
    pub async fn discard_dead_letter(&self, number: u64) -> anyhow::Result<()> {
        self.reader(STREAM).await?.delete_message(number).await?;
        Ok(())
    }

    /// How many dead letters of this service there are.
    pub(crate) async fn count_dead_letters(&self) -> anyhow::Result<usize> {
        let stream = self.reader(STREAM).await?;
        let subjects = stream.info_with_subjects(dead_subjects_of(self.service())).await?;
        let sum = subjects.try_fold(0, async |sum, (_, count)| Ok(sum + count));
        Ok(sum.await?)
    }
}

/// The message doesn't exist, or (after the broker was wiped) the stream doesn't exist yet.
fn is_missing(error: &RawMessageError) -> bool {
    match error.kind() {
        RawMessageErrorKind::NoMessageFound => true,
        RawMessageErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        RawMessageErrorKind::InvalidSubject | RawMessageErrorKind::Other => false,
    }
}
