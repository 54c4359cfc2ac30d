//! The one `main` of every service that stores something: it serves, or runs an admin command.

use std::future::Future;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use common::Clock;
use httpkit::Service;
use httpkit::settings::ServerSettings;
use store::Aggregate;

use crate::admin::{AdminCommands, Command};

/// A service, as [`main`] runs it.
pub trait Microservice {
    /// Its folder, its image, its database, its durable consumers, its user on the bus.
    const NAME: &'static str;
    /// All of its settings.
    type Settings: Parser + Send;
    /// Those that an admin command needs, too.
    type StateSettings: Args + Clone + Send;
    /// What its listeners work with.
    type State: Clone + Send + Sync + 'static;
    /// The documents that it can republish.
    type Document: Aggregate;

    /// The part of the settings that says where to serve.
    fn server(settings: &Self::Settings) -> &ServerSettings;

    /// Connects, and assembles routes, listeners and background tasks.
    fn build(
        settings: Self::Settings,
        clock: Clock,
    ) -> impl Future<Output = anyhow::Result<Service>> + Send;

    /// Connects, and assembles what admin commands work with.
    fn admin(
        settings: Self::StateSettings,
        clock: Clock,
    ) -> impl Future<Output = anyhow::Result<AdminCommands<Self::State, Self::Document>>> + Send;

    /// The admin commands that only this service has, for `--help`. Its program runs them before [`main`].
    fn own_commands() -> Vec<clap::Command> {
        Vec::new()
    }
}

/// Serves until SIGTERM, or runs the admin command on the command line.
pub async fn main<M: Microservice>() -> ExitCode {
    let parser = Command::<M::StateSettings>::augment_subcommands(M::Settings::command());
    let parser = parser.subcommand_negates_reqs(true).subcommand_help_heading("Admin commands");
    let mut matches = parser.subcommands(M::own_commands()).get_matches();
    if matches.subcommand_name().is_none() {
        return match M::Settings::from_arg_matches_mut(&mut matches) {
            Ok(settings) => {
                let server = M::server(&settings).clone();
                httpkit::run::run(M::NAME, server, M::build(settings, Clock::system())).await
            }
            Err(error) => error.exit(),
        };
    }
    let command = match Command::<M::StateSettings>::from_arg_matches_mut(&mut matches) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    run_command(async {
        let admin = M::admin(command.settings().clone(), Clock::system()).await?;
        admin.run(command).await
    })
    .await
}

/// Runs an admin command, and ends the process: with code 1, and the error on stderr, if it fails.
pub async fn run_command(command: impl Future<Output = anyhow::Result<()>>) -> ! {
    telemetry::init_for_command();
    let code = match command.await {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error:#}");
            1
        }
    };
    // Not by returning: what the driver does in the background may panic, on stderr, while its runtime is dropped.
    std::process::exit(code)
}
