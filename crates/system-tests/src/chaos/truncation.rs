//! A stream loses messages that its consumers may not have handled, and nothing tells them: somebody purges it, deletes its
//! newest messages, or sets a limit.

use std::fmt;

use anyhow::{Context as _, Result};
use async_nats::jetstream;
use common::events::Stream;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Which stream loses what.
#[derive(Clone, Debug, PartialEq)]
pub struct Truncation {
    pub stream: Stream,
    cut: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// All messages.
    Purge,
    /// The newest ones.
    Tail(u64),
    /// All but the newest ones, now and until the publisher removes the limit.
    Limit(i64),
}

impl Truncation {
    pub(super) fn draw(rng: &mut StdRng) -> Option<Truncation> {
        let stream = *Stream::ALL.choose(rng)?;
        let cut = match rng.random_range(0..3) {
            0 => Cut::Purge,
            1 => Cut::Tail(rng.random_range(1..=50)),
            _ => Cut::Limit(rng.random_range(1..=20)),
        };
        Some(Truncation { stream, cut })
    }

    pub(super) async fn apply(&self, nats: async_nats::Client) -> Result<()> {
        let jetstream = jetstream::new(nats);
        let mut stream = jetstream.get_stream(self.stream.name()).await?;
        match self.cut {
            Cut::Purge => drop(stream.purge().await?),
            Cut::Tail(count) => {
                let last = stream.info().await?.state.last_sequence;
                for sequence in last.saturating_sub(count - 1).max(1)..=last {
                    // It may have been deleted before.
                    drop(stream.delete_message(sequence).await);
                }
            }
            Cut::Limit(messages) => {
                let mut config = stream.cached_info().config.clone();
                config.max_messages = messages;
                jetstream.update_stream(config).await.context("limiting the stream")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.stream.name();
        match self.cut {
            Cut::Purge => write!(f, "purge {stream}"),
            Cut::Tail(count) => write!(f, "delete the last {count} messages of {stream}"),
            Cut::Limit(messages) => write!(f, "limit {stream} to {messages} messages"),
        }
    }
}
