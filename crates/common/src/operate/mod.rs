//! The operator's side of a service: its subcommands, so that they are there wherever the service is.
//!
//! They work beside the serving processes, on the same documents and by the same guarded writes, and need
//! the settings of the service's state alone.

mod dead_letters;
mod reannounce;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, FromArgMatches, Parser, Subcommand};

use crate::bus::{Aggregate, Aggregates, Listeners};
use crate::config::ServerSettings;
use crate::foundation::Foundation;
use crate::server::{self, Service};
use crate::telemetry;

pub use reannounce::Raise;

/// How long a command waits for NATS.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an operator's commands work with.
pub struct Operator<S, T> {
    foundation: Foundation,
    listeners: Listeners<S>,
    things: Aggregates<T>,
    raise: Option<Raise>,
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> Operator<S, T> {
    pub(crate) fn new(
        foundation: Foundation,
        listeners: Listeners<S>,
        things: Aggregates<T>,
    ) -> Self {
        Operator { foundation, listeners, things, raise: None }
    }

    async fn run<P: Args>(self, command: Command<P>) -> anyhow::Result<()> {
        match command {
            Command::DeadLetters { command, .. } => self.dead_letters(command).await,
            Command::Reannounce { options, .. } => self.reannounce(options).await,
        }
    }

    async fn until_connected(&self) -> anyhow::Result<()> {
        let connected = async {
            while !self.foundation.bus.is_connected() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected)
            .await
            .map_err(|_| anyhow::anyhow!("NATS_URL: no NATS answers there within {PATIENCE:?}"))
    }
}

// `P` is what the service's state needs: the settings of a command. (A doc comment would be the help text
// of the service itself.)
#[derive(Debug, Subcommand)]
enum Command<P: Args> {
    /// What this service was told and could not handle
    DeadLetters {
        #[command(flatten)]
        settings: P,
        #[command(subcommand)]
        command: dead_letters::Command,
    },
    /// Tells the other services again what this one has
    Reannounce {
        #[command(flatten)]
        settings: P,
        #[command(flatten)]
        options: reannounce::Options,
    },
}

/// What a service's `main` calls: it serves, or does what a subcommand says.
pub async fn main<Settings, P, S, T, F, G>(
    name: &'static str,
    server: impl Fn(&Settings) -> &ServerSettings,
    build: impl FnOnce(Settings) -> F,
    operator: impl FnOnce(P) -> G,
) -> ExitCode
where
    Settings: Parser,
    P: Args + Clone,
    S: Clone + Send + Sync + 'static,
    T: Aggregate,
    F: Future<Output = anyhow::Result<Service>>,
    G: Future<Output = anyhow::Result<Operator<S, T>>>,
{
    let parser = Command::<P>::augment_subcommands(Settings::command());
    let parser =
        parser.subcommand_negates_reqs(true).subcommand_help_heading("Operator's commands");
    let mut matches = parser.get_matches();
    if matches.subcommand_name().is_none() {
        return match Settings::from_arg_matches_mut(&mut matches) {
            Ok(settings) => server::run(name, server(&settings).clone(), build(settings)).await,
            Err(error) => error.exit(),
        };
    }
    let command = match Command::<P>::from_arg_matches_mut(&mut matches) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    telemetry::init_for_a_person();
    let settings = match &command {
        Command::DeadLetters { settings, .. } | Command::Reannounce { settings, .. } => {
            settings.clone()
        }
    };
    let done = async { operator(settings).await?.run(command).await };
    match done.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
