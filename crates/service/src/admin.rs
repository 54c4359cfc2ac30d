//! The admin CLI of every service: subcommands of its own program, so that they are available wherever it runs.
//!
//! They work beside the serving processes, on the same documents and by the same guarded writes.

mod commands;
mod dead_letters;
mod republish;
mod republishable;

use clap::{Args, Subcommand};
use store::Aggregate;

pub use commands::AdminCommands;

impl<S: Clone + Send + Sync + 'static, T: Aggregate> AdminCommands<S, T> {
    pub(crate) async fn run<P: Args>(self, command: Command<P>) -> anyhow::Result<()> {
        match command {
            Command::DeadLetters { command, .. } => self.dead_letters(command).await,
            Command::Republish { options, .. } => self.republish(options).await,
        }
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
