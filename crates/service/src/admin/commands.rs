//! What admin commands work with.

use std::time::Duration;

use bus::Listeners;
use store::{Aggregate, Documents};

use super::republishable::{Republishable, TIMEOUT};
use crate::context::ServiceContext;

/// What admin commands work with.
pub struct AdminCommands<S, T> {
    pub(crate) context: ServiceContext,
    pub(crate) listeners: Listeners<S>,
    pub(crate) documents: Documents<T>,
    pub(crate) further: Vec<Box<dyn Republishable>>,
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> AdminCommands<S, T> {
    /// With the listeners whose dead letters can be replayed, and the documents that can be republished.
    pub fn new(
        context: &ServiceContext,
        listeners: Listeners<S>,
        documents: &Documents<T>,
    ) -> Self {
        let (context, documents) = (context.clone(), documents.clone());
        AdminCommands { context, listeners, documents, further: Vec::new() }
    }

    pub(crate) async fn wait_until_connected(&self) -> anyhow::Result<()> {
        let connected = async {
            while !self.context.bus.is_connected() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, connected)
            .await
            .map_err(|_| anyhow::anyhow!("NATS_URL: no connection within {TIMEOUT:?}"))
    }

    /// Documents of another kind that are republished, too.
    pub fn with_documents<U: Aggregate>(mut self, documents: &Documents<U>) -> Self {
        self.further.push(Box::new(documents.clone()));
        self
    }
}
