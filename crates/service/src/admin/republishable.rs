//! Documents of any kind, as `republish` handles them.

use std::time::Duration;

use bus::Bus;
use futures::future::BoxFuture;
use store::{Aggregate, Documents, Republish, Republished};
use tokio_util::sync::CancellationToken;

/// How long a command waits for NATS.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it reports progress, in documents.
const PROGRESS_INTERVAL: u64 = 10_000;

/// Documents of some kind.
pub(crate) trait Republishable: Send + Sync {
    /// Pushes the events of their current state onto their outboxes.
    fn push<'a>(&'a self, republish: &'a Republish) -> BoxFuture<'a, anyhow::Result<Republished>>;

    /// Publishes what the outboxes hold.
    fn publish<'a>(&'a self, bus: &'a Bus) -> BoxFuture<'a, anyhow::Result<()>>;
}

impl<T: Aggregate> Republishable for Documents<T> {
    fn push<'a>(&'a self, republish: &'a Republish) -> BoxFuture<'a, anyhow::Result<Republished>> {
        Box::pin(async move {
            let progress = |Republished { documents, .. }: Republished| {
                if documents.is_multiple_of(PROGRESS_INTERVAL) {
                    println!("{documents} documents …");
                }
            };
            self.republish(republish, progress, &CancellationToken::new()).await
        })
    }

    fn publish<'a>(&'a self, bus: &'a Bus) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(self.relay_all(bus, TIMEOUT))
    }
}
