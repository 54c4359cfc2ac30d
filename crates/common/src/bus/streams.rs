//! The streams: what each is to be, and which had to be made anew and still lack what was told before.
//!
//! A full stream of events forgets the oldest ones: refusing new ones would stop every sale, while whoever missed an
//! event gets the thing's whole state with the next one, or when it is told again. A full stream of dead letters
//! refuses new ones: what can't be buried stays in its own stream and comes again.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{ErrorCode, stream};

use super::{Bus, advisories, dead};
use crate::clock::Time;
use crate::events::Stream;

/// JetStream drops a message whose id it has seen within this time.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(2 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// On a stream that a service had to make, its name: it lacks what was told before, if anything was.
const MADE_BY: &str = "made-by";

/// A stream that one of our services had to make, and that hasn't been told the present state yet.
#[derive(Debug)]
pub(super) struct Untold {
    pub name: String,
    /// When it was made, in milliseconds: the same for all who notice it.
    pub made_at: i128,
}

impl Bus {
    /// Sees to it that the streams that this service publishes to exist as declared.
    pub(super) async fn ensure_streams(&self) -> anyhow::Result<()> {
        for stream in self.own_streams() {
            let made_by = HashMap::from([(MADE_BY.to_owned(), self.service.to_owned())]);
            let wanted = self.stream(stream.name(), &[stream.subjects()]);
            self.ensure(Config { metadata: made_by, ..wanted }).await?;
        }
        Ok(())
    }

    /// The same for the streams of what could not be handled.
    pub(super) async fn ensure_dead(&self) -> anyhow::Result<()> {
        let dead = self.stream(dead::STREAM, &[dead::SUBJECTS]);
        let max_age = dead.max_age * dead::KEPT_TIMES;
        self.ensure(Config { max_age, discard: DiscardPolicy::New, ..dead }).await?;
        self.ensure(Config {
            retention: RetentionPolicy::WorkQueue,
            max_age: advisories::KEPT,
            max_bytes: advisories::MAX_BYTES,
            ..self.stream(advisories::STREAM, &advisories::SUBJECTS)
        })
        .await
    }

    /// Those that this service publishes to.
    pub(super) fn own_streams(&self) -> impl Iterator<Item = Stream> {
        let service = self.service;
        Stream::ALL.into_iter().filter(move |stream| stream.publisher() == service)
    }

    /// Streams of this service that it had to make, while there may have been documents of this kind to
    /// tell of. They stay so until [`Bus::mark_told`], whoever dies in between.
    pub(super) async fn untold(&self, kind: &str) -> anyhow::Result<Vec<Untold>> {
        let mut untold = Vec::new();
        for stream in self.own_streams() {
            let info = self.info(stream.name()).await?.context("no such stream")?;
            let metadata = &info.config.metadata;
            if metadata.contains_key(MADE_BY) && !metadata.contains_key(&told(kind)) {
                let made_at = info.created.unix_timestamp_nanos() / 1_000_000;
                untold.push(Untold { name: stream.name().to_owned(), made_at });
            }
        }
        Ok(untold)
    }

    /// All documents of this kind wait to be published to it.
    pub(super) async fn mark_told(
        &self,
        untold: &Untold,
        kind: &str,
        now: Time,
    ) -> anyhow::Result<()> {
        let Some(info) = self.info(&untold.name).await? else { return Ok(()) };
        // It may have been made anew once more.
        if info.created.unix_timestamp_nanos() / 1_000_000 == untold.made_at {
            let mut config = info.config;
            config.metadata.insert(told(kind), now.to_string());
            self.jetstream.update_stream(config).await?;
        }
        Ok(())
    }

    /// A setting of a stream by which it would lose what it has acknowledged.
    pub(super) async fn wrong_stream(&self) -> anyhow::Result<Option<String>> {
        let names = self.own_streams().map(Stream::name).chain([dead::STREAM]);
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

    fn stream(&self, name: &str, subjects: &[&str]) -> Config {
        Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            storage: StorageType::File,
            num_replicas: self.streams.nats_replicas,
            max_age: DAY * u32::try_from(self.streams.nats_max_age_days).unwrap_or(u32::MAX),
            max_bytes: i64::from(self.streams.nats_max_mib) * 1024 * 1024,
            discard: DiscardPolicy::Old,
            duplicate_window: DUPLICATE_WINDOW,
            ..Config::default()
        }
    }

    async fn ensure(&self, wanted: Config) -> anyhow::Result<()> {
        let name = wanted.name.clone();
        let Some(Info { config: there, .. }) = self.info(&name).await? else {
            let made = self.jetstream.create_stream(wanted).await;
            made.with_context(|| format!("making the stream {name}"))?;
            tracing::info!(stream = name, "made the stream");
            return Ok(());
        };
        let declared = |config: &Config| {
            let Config { subjects, num_replicas, duplicate_window, .. } = config;
            let Config { max_age, max_bytes, discard, .. } = config;
            let limits = (*max_age, *max_bytes, *discard);
            (subjects.clone(), *num_replicas, *duplicate_window, limits)
        };
        if declared(&there) != declared(&wanted) {
            let update = Config { metadata: there.metadata, ..wanted };
            let updated = self.jetstream.update_stream(update).await;
            updated.with_context(|| format!("changing the stream {name}"))?;
        }
        Ok(())
    }

    /// What the stream is; none if there is no such stream.
    async fn info(&self, name: &str) -> anyhow::Result<Option<Info>> {
        match self.jetstream.get_stream(name).await {
            Ok(stream) => Ok(Some(stream.cached_info().clone())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("the stream {name}")),
        }
    }

    /// A stream to read from, which may not be there.
    pub(super) async fn reader(&self, name: &str) -> anyhow::Result<stream::Stream<()>> {
        Ok(self.jetstream.get_stream_no_info(name).await?)
    }
}

fn told(kind: &str) -> String {
    format!("told-{kind}")
}

fn is_missing(error: &GetStreamError) -> bool {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        GetStreamErrorKind::EmptyName
        | GetStreamErrorKind::Request
        | GetStreamErrorKind::InvalidStreamName => false,
    }
}
