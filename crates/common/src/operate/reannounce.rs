//! `reannounce`: tells the others again.

use anyhow::Context as _;
use clap::Args;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Operator, PATIENCE};
use crate::bus::{Aggregate, Retelling, Told};
use crate::clock::Time;

/// How often it says how far it is: every so many documents.
const EVERY: u64 = 10_000;

/// Raises what else a service compares by, for a run of this name: once, however often it is called.
pub type Raise = Box<dyn FnOnce(String) -> BoxFuture<'static, anyhow::Result<()>> + Send>;

#[derive(Debug, Args)]
#[command(after_help = "\
Who knows it already skips it, so too much does no harm. It works beside the running service, and publishes by
itself what it tells. docs/operating.md says when to use it.")]
pub(super) struct Options {
    /// Only what changed since then, by this service's clock, such as 2026-01-31T12:45:00Z: take a time well
    /// before the others lost something
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Time>,

    /// This service's own database was restored from a back-up: raise all its versions and hold numbers by
    /// 1,000,000 first, so that its word overtakes what it told after the back-up. Run again after it was
    /// killed, it goes on
    #[arg(long, conflicts_with = "since")]
    restored: bool,
}

fn parse_time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "expected a time such as 2026-01-31T12:45:00Z".to_owned())
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> Operator<S, T> {
    /// What else is to be raised when the service's database was restored.
    pub fn raising<F>(mut self, raise: impl FnOnce(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.raise = Some(Box::new(|run| Box::pin(raise(run))));
        self
    }

    pub(super) async fn reannounce(mut self, options: Options) -> anyhow::Result<()> {
        let now = self.foundation.clock.now();
        let told = if options.restored {
            let run = self.things.begin_restore().await?;
            if let Some(raise) = self.raise.take() {
                raise(run.clone()).await?;
            }
            let told = self.tell(&Retelling::restored(now, run.clone())).await?;
            self.things.end_restore(&run).await?;
            told
        } else {
            self.tell(&Retelling::new(now, options.since)).await?
        };
        println!("Told again: {} events of {} documents.", told.events, told.documents);

        self.publish().await.context(
            "the events wait on their documents, and could not be published; the running service does it \
             when it can",
        )?;
        println!("All are published.");
        Ok(())
    }

    async fn tell(&self, retelling: &Retelling) -> anyhow::Result<Told> {
        let progress = |told: Told| {
            if told.documents.is_multiple_of(EVERY) {
                println!("{} documents …", told.documents);
            }
        };
        self.things.retell(retelling, progress, &CancellationToken::new()).await
    }

    async fn publish(&self) -> anyhow::Result<()> {
        self.until_connected().await?;
        self.things.relay_all(&self.foundation.bus, PATIENCE).await
    }
}
