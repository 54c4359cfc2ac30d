//! The streams: the configuration of each, and which had to be recreated and lack what was published before.
//!
//! A full stream of events discards the oldest: refusing new ones would stop every sale, while a consumer that missed
//! an event gets the whole state with the next one, or when it is republished. A full stream of dead letters refuses
//! new ones: the message then stays in its own stream and is redelivered.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{ErrorCode, stream};
use common::Time;
use common::events::Stream;

use crate::connection::Bus;

/// The stream of dead letters of every service; `dead.<service>.<subject>`.
pub const DEAD: &str = "DEAD";
/// Its subjects.
pub const DEAD_SUBJECTS: &str = "dead.>";
/// How many times longer than an event a dead letter is kept: it waits for a person.
const DEAD_RETENTION_FACTOR: u32 = 3;

/// The stream of JetStream's advisories about messages that it stops delivering.
pub(crate) const ADVISORIES: &str = "ADVISORIES";
const ADVISORIES_SUBJECTS: [&str; 2] = [
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
];
/// How long an advisory waits for a service that is down; those about consumers of others expire unread.
const ADVISORIES_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Room for a hundred thousand of them.
const ADVISORIES_MAX_BYTES: i64 = 64 * 1024 * 1024;

/// JetStream discards a message whose id it has seen within this time.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(2 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Metadata of a stream that a service created: by which. It lacks what was published before, if anything was.
const CREATED_BY: [&str; 2] = ["created-by", "made-by"];

/// The subjects of one service's dead letters.
pub(crate) fn dead_subjects_of(service: &str) -> String {
    format!("dead.{service}.>")
}

/// The advisories about a service's consumers: the subject ends in the names of the stream and the consumer.
pub(crate) fn advisories_about(service: &str) -> String {
    format!("$JS.EVENT.ADVISORY.CONSUMER.*.*.{service}")
}

/// A stream that had to be created, and to which the current state hasn't been republished yet.
#[derive(Debug)]
pub struct NeedsReplay {
    /// The stream.
    pub name: String,
    /// When it was created, in milliseconds: the same for every replica that notices it.
    pub created_at: i128,
}

impl Bus {
    /// Creates or updates the streams that this service publishes to.
    pub async fn ensure_streams(&self) -> anyhow::Result<()> {
        for stream in self.own_streams() {
            let created_by = HashMap::from([(CREATED_BY[0].to_owned(), self.service().to_owned())]);
            let wanted = self.config(stream.name(), &[stream.subjects()]);
            self.ensure(stream.name(), Config { metadata: created_by, ..wanted }).await?;
        }
        Ok(())
    }

    /// The same for the streams of dead letters and advisories.
    pub(crate) async fn ensure_dead_letter_streams(&self) -> anyhow::Result<()> {
        let dead = self.config(DEAD, &[DEAD_SUBJECTS]);
        let max_age = dead.max_age * DEAD_RETENTION_FACTOR;
        self.ensure(DEAD, Config { max_age, discard: DiscardPolicy::New, ..dead }).await?;
        let advisories = Config {
            retention: RetentionPolicy::WorkQueue,
            max_age: ADVISORIES_MAX_AGE,
            max_bytes: ADVISORIES_MAX_BYTES,
            ..self.config(ADVISORIES, &ADVISORIES_SUBJECTS)
        };
        self.ensure(ADVISORIES, advisories).await
    }

    /// The streams of this service that it had to create, and to which documents of this kind haven't been republished.
    /// They are listed until [`Bus::mark_replayed`], whatever crashes in between.
    pub async fn streams_needing_replay(&self, kind: &str) -> anyhow::Result<Vec<NeedsReplay>> {
        let mut needing = Vec::new();
        for stream in self.own_streams() {
            let info = self.info(stream.name()).await?.context("the stream doesn't exist")?;
            let has =
                |key: &dyn Fn(&str) -> bool| info.config.metadata.keys().any(|name| key(name));
            // Version 0.1 marked it under another prefix.
            let mark = format!("-{kind}");
            if has(&|name| CREATED_BY.contains(&name)) && !has(&|name| name.ends_with(&mark)) {
                let created_at = info.created.unix_timestamp_nanos() / 1_000_000;
                needing.push(NeedsReplay { name: stream.name().to_owned(), created_at });
            }
        }
        Ok(needing)
    }

    /// All documents of this kind have been republished, or are about to be by the relay.
    pub async fn mark_replayed(
        &self,
        stream: &NeedsReplay,
        kind: &str,
        now: Time,
    ) -> anyhow::Result<()> {
        let _marking = self.marking.lock().await;
        let Some(info) = self.info(&stream.name).await? else { return Ok(()) };
        // It may have been recreated once more.
        if info.created.unix_timestamp_nanos() / 1_000_000 == stream.created_at {
            let mut config = info.config;
            config.metadata.insert(format!("replayed-{kind}"), now.to_string());
            self.jetstream.update_stream(config).await?;
        }
        Ok(())
    }

    /// A setting of a stream by which it would lose acknowledged messages.
    pub(crate) async fn misconfigured_stream(&self) -> anyhow::Result<Option<String>> {
        let names = self.own_streams().map(Stream::name).chain([DEAD]);
        for name in names {
            let Some(Info { config, .. }) = self.info(name).await? else { continue };
            if config.storage != StorageType::File {
                return Ok(Some(format!(
                    "the stream {name} has storage memory, and must have file"
                )));
            }
            if config.persist_mode == Some(PersistenceMode::Async) {
                let wrong = format!("the stream {name} has persist_mode async, and must not");
                return Ok(Some(wrong));
            }
        }
        Ok(None)
    }

    /// How long a stream keeps a message.
    pub(crate) fn max_age(&self) -> Duration {
        DAY * u32::try_from(self.streams.nats_max_age_days).unwrap_or(u32::MAX)
    }

    fn config(&self, name: &str, subjects: &[&str]) -> Config {
        Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            storage: StorageType::File,
            num_replicas: self.streams.nats_replicas,
            max_age: self.max_age(),
            max_bytes: i64::from(self.streams.nats_max_mib) * 1024 * 1024,
            discard: DiscardPolicy::Old,
            duplicate_window: DUPLICATE_WINDOW,
            ..Config::default()
        }
    }

    async fn ensure(&self, name: &'static str, wanted: Config) -> anyhow::Result<()> {
        let Some(Info { config: present, state, .. }) = self.info(name).await? else {
            let created = self.jetstream.create_stream(wanted).await;
            created.with_context(|| format!("creating the stream {name}"))?;
            tracing::info!(stream = name, "stream created");
            return Ok(());
        };
        let fill = state.bytes as f64 / present.max_bytes as f64;
        metrics::gauge!("stream_fill_ratio", "stream" => name).set(fill);
        let declared = |config: &Config| {
            let Config { subjects, num_replicas, duplicate_window, no_ack, .. } = config;
            let Config { max_age, max_bytes, discard, .. } = config;
            // Unlimited is 0 here, and -1 in what NATS returns.
            let counts = [
                config.max_messages,
                config.max_messages_per_subject,
                config.max_message_size.into(),
            ];
            let limits = (*max_age, *max_bytes, *discard, counts.map(|count| count.max(0)));
            (subjects.clone(), *num_replicas, *duplicate_window, *no_ack, limits)
        };
        if declared(&present) != declared(&wanted) {
            let update = Config { metadata: present.metadata, ..wanted };
            let updated = self.jetstream.update_stream(update).await;
            updated.with_context(|| format!("updating the stream {name}"))?;
        }
        Ok(())
    }

    /// The stream's configuration and state; none if it doesn't exist.
    async fn info(&self, name: &str) -> anyhow::Result<Option<Info>> {
        match self.jetstream.get_stream(name).await {
            Ok(stream) => Ok(Some(stream.cached_info().clone())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("the stream {name}")),
        }
    }

    /// A stream to read from, which may not exist.
    pub(crate) async fn reader(&self, name: &str) -> anyhow::Result<stream::Stream<()>> {
        Ok(self.jetstream.get_stream_no_info(name).await?)
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        GetStreamErrorKind::EmptyName
        | GetStreamErrorKind::Request
        | GetStreamErrorKind::InvalidStreamName => false,
    }
}
