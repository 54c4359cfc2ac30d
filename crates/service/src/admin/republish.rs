//! `republish`: publishes the current state again.

use anyhow::Context as _;
use clap::Args;
use common::Time;
use store::{Aggregate, Republish, Republished};
use tokio_util::sync::CancellationToken;

use super::commands::{AdminCommands, TIMEOUT};

/// How often it reports progress, in documents.
const PROGRESS_INTERVAL: u64 = 10_000;

#[derive(Debug, Args)]
#[command(after_help = "\
A consumer that knows the state skips it, so that republishing too much is safe. It works beside the running service.
docs/operating.md says when to use it.")]
pub(crate) struct Options {
    /// Only what changed since then, by this service's clock, such as 2026-01-31T12:45:00Z: choose a time well before
    /// the loss
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Time>,

    /// This service's own database was restored from a back-up: add 1,000,000 to all versions and fencing numbers
    /// first, so that they exceed what was published after the back-up. A run that was interrupted is continued
    #[arg(long, conflicts_with = "since")]
    restored: bool,
}

fn parse_time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "expected a time such as 2026-01-31T12:45:00Z".to_owned())
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> AdminCommands<S, T> {
    pub(super) async fn republish(mut self, options: Options) -> anyhow::Result<()> {
        let now = self.context.clock.now();
        let Republished { documents, events } = if options.restored {
            let run = self.documents.begin_restore().await?;
            if let Some(step) = self.after_restore.take() {
                step(run.clone()).await?;
            }
            let republished = self.push(&Republish::restored(now, run.clone())).await?;
            self.documents.end_restore(&run).await?;
            republished
        } else {
            self.push(&Republish::new(now, options.since)).await?
        };
        println!("Republishing {events} events of {documents} documents.");

        self.publish().await.context(
            "the events could not be published and stay in the outboxes; the running service publishes them \
             as soon as NATS is available",
        )?;
        println!("All events are published.");
        Ok(())
    }

    async fn push(&self, republish: &Republish) -> anyhow::Result<Republished> {
        let progress = |Republished { documents, .. }: Republished| {
            if documents.is_multiple_of(PROGRESS_INTERVAL) {
                println!("{documents} documents …");
            }
        };
        self.documents.republish(republish, progress, &CancellationToken::new()).await
    }

    async fn publish(&self) -> anyhow::Result<()> {
        self.wait_until_connected().await?;
        self.documents.relay_all(&self.context.bus, TIMEOUT).await
    }
}
