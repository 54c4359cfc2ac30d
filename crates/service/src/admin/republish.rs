//! `republish`: publishes the current state again.

use anyhow::Context as _;
use clap::Args;
use common::Time;
use store::{Aggregate, Republish, Republished};

use super::commands::AdminCommands;
use super::republishable::Republishable;

#[derive(Debug, Args)]
#[command(after_help = "\
A consumer that knows the state skips it, so that republishing too much is safe. It works beside the running service.
docs/operating.md says when to use it.")]
pub(crate) struct Options {
    /// Only what changed since then, by this service's clock, such as 2026-01-31T12:45:00Z: choose a time well before
    /// the loss
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Time>,

    /// This service's own database was restored from a back-up: add 1,000,000 to all versions first, so that they
    /// exceed what was published after the back-up. A run that was interrupted is continued
    #[arg(long, conflicts_with = "since")]
    restored: bool,
}

fn parse_time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "expected a time such as 2026-01-31T12:45:00Z".to_owned())
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> AdminCommands<S, T> {
    pub(super) async fn republish(self, options: Options) -> anyhow::Result<()> {
        let now = self.context.clock.now();
        let republish = if options.restored {
            Republish::restored(now, self.documents.begin_restore().await?)
        } else {
            Republish::new(now, options.since)
        };
        let mut total = Republished::default();
        for documents in self.all() {
            let Republished { documents, events } = documents.push(&republish).await?;
            total.documents += documents;
            total.events += events;
        }
        if let Some(run) = republish.restore_run() {
            self.documents.end_restore(run).await?;
        }
        let Republished { documents, events } = total;
        println!("Republishing {events} events of {documents} documents.");

        self.publish().await.context(
            "the events could not be published and stay in the outboxes; the running service publishes them \
             as soon as NATS is available",
        )?;
        println!("All events are published.");
        Ok(())
    }

    async fn publish(&self) -> anyhow::Result<()> {
        self.wait_until_connected().await?;
        for documents in self.all() {
            documents.publish(&self.context.bus).await?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &dyn Republishable> {
        let first: &dyn Republishable = &self.documents;
        std::iter::once(first).chain(self.further.iter().map(|documents| &**documents))
    }
}
