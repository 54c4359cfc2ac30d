//! Dead letters: what a listener can't handle is kept, with its reason, where an operator finds it, and
//! from where it can be handled again.

use anyhow::Context as _;
use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind};
use async_nats::jetstream::{ErrorCode, Message};
use futures::TryStreamExt;

use super::Bus;
use crate::clock::Time;

/// The stream of dead letters, of every service.
pub const STREAM: &str = "DEAD";
/// `dead.<service>.<subject>`
pub const SUBJECTS: &str = "dead.>";
/// Those of one service's letters.
pub(super) fn subjects_of(service: &str) -> String {
    format!("dead.{service}.>")
}

/// How many times longer than an event a letter is kept: it waits for a person.
pub(super) const KEPT_TIMES: u32 = 3;

/// A message that could not be handled, whoever noticed that.
pub(super) struct Corpse {
    pub subject: String,
    pub headers: HeaderMap,
    pub payload: Vec<u8>,
    pub stream: String,
    pub sequence: u64,
    /// When it was published, in nanoseconds: a stream that was made anew begins to count anew.
    pub published: i128,
    pub tries: i64,
}

impl Corpse {
    pub fn of(message: &Message) -> anyhow::Result<Self> {
        let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
        Ok(Corpse {
            subject: message.subject.to_string(),
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.to_vec(),
            stream: info.stream.to_owned(),
            sequence: info.stream_sequence,
            published: info.published.unix_timestamp_nanos(),
            tries: info.delivered,
        })
    }
}

/// Keeps a message that `bus`'s service can't handle. Returns once JetStream has stored it. Who buries it
/// a second time, within the duplicate window, does nothing.
pub(super) async fn bury(bus: &Bus, corpse: Corpse, reason: &str) -> anyhow::Result<()> {
    let service = bus.service();
    let Corpse { subject, headers: original, payload, stream, sequence, published, tries } = corpse;
    let mut headers = HeaderMap::new();
    for (name, values) in original.iter() {
        // Its own id would make JetStream take it for something else's duplicate.
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
    headers.insert("dead-tries", tries.to_string());

    let id = format!("dead:{service}:{stream}:{sequence}:{published}");
    let publish = PublishMessage::build().headers(headers).message_id(id).payload(payload.into());
    let stored = bus.jetstream.send_publish(format!("dead.{service}.{subject}"), publish);
    if stored.await?.await?.duplicate {
        return Ok(());
    }
    metrics::counter!("dead_letters_total", "subject" => subject.clone()).increment(1);
    tracing::error!(subject, stream, sequence, tries, reason, "dead letter");
    Ok(())
}

/// A header's value can't hold line breaks.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A message that a service gave up, as an operator sees it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its number in `DEAD`, by which it is named.
    pub number: u64,
    /// When it was given up.
    pub time: Time,
    pub reason: String,
    /// What it was published as, and where it stood.
    pub subject: String,
    pub stream: String,
    pub sequence: String,
    pub tries: String,
    /// The message's own.
    pub headers: Vec<(String, String)>,
    pub data: Vec<u8>,
}

impl Letter {
    fn of(message: StreamMessage) -> Self {
        let header = |name: &str| {
            message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
        };
        let own = |name: &str| !name.starts_with("dead-") && !name.starts_with("Nats-");
        let headers = message.headers.iter().filter(|(name, _)| own(name.as_ref())).flat_map(
            |(name, values)| values.iter().map(move |value| (name.to_string(), value.to_string())),
        );
        let millis = message.time.unix_timestamp_nanos() / 1_000_000;
        Letter {
            number: message.sequence,
            time: Time::from_millis(i64::try_from(millis).unwrap_or_default()),
            reason: header("dead-reason"),
            subject: header("dead-subject"),
            stream: header("dead-stream"),
            sequence: header("dead-sequence"),
            tries: header("dead-tries"),
            headers: headers.collect(),
            data: message.payload.to_vec(),
        }
    }
}

impl Bus {
    /// This service's dead letters, the oldest first.
    pub(crate) async fn dead_letters(&self) -> anyhow::Result<Vec<Letter>> {
        let stream = self.reader(STREAM).await?;
        let mut letters = Vec::new();
        let mut next = 1;
        loop {
            let builder = stream.raw_message_builder().sequence(next);
            match builder.next_by_subject(subjects_of(self.service())).send().await {
                Ok(message) => {
                    next = message.sequence + 1;
                    letters.push(Letter::of(message));
                }
                Err(error) if is_none(&error) => return Ok(letters),
                Err(error) => return Err(error).context("reading the stream DEAD"),
            }
        }
    }

    /// The dead letter of this number, if it is this service's.
    pub(crate) async fn dead_letter(&self, number: u64) -> anyhow::Result<Option<Letter>> {
        let stream = self.reader(STREAM).await?;
        match stream.get_raw_message(number).await {
            Ok(message) => {
                let prefix = format!("dead.{}.", self.service());
                let ours = message.subject.starts_with(&prefix);
                Ok(ours.then(|| Letter::of(message)))
            }
            Err(error) if is_none(&error) => Ok(None),
            Err(error) => Err(error).context("reading the stream DEAD"),
        }
    }

    /// Takes a letter away that was handled after all.
    pub(crate) async fn discard_dead_letter(&self, number: u64) -> anyhow::Result<()> {
        self.reader(STREAM).await?.delete_message(number).await?;
        Ok(())
    }

    /// How many letters of this service wait for an operator.
    pub(super) async fn count_dead_letters(&self) -> anyhow::Result<usize> {
        let stream = self.reader(STREAM).await?;
        let subjects = stream.info_with_subjects(subjects_of(self.service())).await?;
        let sum = subjects.try_fold(0, async |sum, (_, count)| Ok(sum + count));
        Ok(sum.await?)
    }
}

/// No such message, or (after the broker was wiped) no such stream yet.
fn is_none(error: &RawMessageError) -> bool {
    match error.kind() {
        RawMessageErrorKind::NoMessageFound => true,
        RawMessageErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        RawMessageErrorKind::InvalidSubject | RawMessageErrorKind::Other => false,
    }
}
