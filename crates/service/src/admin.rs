//! The admin CLI of every service: subcommands of its own program, so that they are available wherever it runs.
//!
//! They work beside the serving processes, on the same documents and by the same guarded writes.

mod dead_letters;
mod republish;

use std::time::Duration;

use bus::Listeners;
use clap::{Args, Subcommand};
use store::{Aggregate, Documents};

use crate::context::ServiceContext;

pub use republish::BumpReplica;

/// How long a command waits for NATS.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What admin commands work with.
pub struct AdminCommands<S, T> {
    context: ServiceContext,
    listeners: Listeners<S>,
    documents: Documents<T>,
    bump_replica: Option<BumpReplica>,
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> AdminCommands<S, T> {
    /// With the listeners whose dead letters can be replayed, and the documents that can be republished.
    pub fn new(
        context: &ServiceContext,
        listeners: Listeners<S>,
        documents: &Documents<T>,
    ) -> Self {
        let (context, documents) = (context.clone(), documents.clone());
        AdminCommands { context, listeners, documents, bump_replica: None }
    }

    pub(crate) async fn run<P: Args>(self, command: Command<P>) -> anyhow::Result<()> {
        match command {
            Command::DeadLetters { command, .. } => self.dead_letters(command).await,
            Command::Republish { options, .. } => self.republish(options).await,
        }
    }

    async fn wait_until_connected(&self) -> anyhow::Result<()> {
        let connected = async {
            while !self.context.bus.is_connected() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, connected)
            .await
            .map_err(|_| anyhow::anyhow!("NATS_URL: no connection within {TIMEOUT:?}"))
    }
}

// `P` is the settings that a command needs. (A doc comment would become the help text of the service itself.)
#[derive(Debug, Subcommand)]
pub(crate) enum Command<P: Args> {
    /// Events that this service could not handle
    DeadLetters {
        #[command(flatten)]
        settings: P,
        #[command(subcommand)]
        command: dead_letters::Command,
    },
    /// Publishes the current state of this service's documents again
    Republish {
        #[command(flatten)]
        settings: P,
        #[command(flatten)]
        options: republish::Options,
    },
}

impl<P: Args> Command<P> {
    pub(crate) fn settings(&self) -> &P {
        match self {
            Command::DeadLetters { settings, .. } | Command::Republish { settings, .. } => settings,
        }
    }
}
