//! `cargo xtask`: runs the whole system on this machine, and its tests.
//!
//! One file a command. It finds or downloads the real servers, builds the services, starts and supervises all of it on
//! loopback, and leaves nothing behind. It depends on no crate of ours: it finds the services by their folders, and configures
//! them by environment variables.

mod bench;
mod browser;
mod cargo;
mod chaos;
mod check;
mod clean;
mod commit;
mod detach;
mod down;
mod elf;
mod environment;
mod gateway;
mod image;
mod image_check;
mod images;
mod load;
mod mongo;
mod mongosh;
mod nats;
mod needs;
mod pidfile;
mod ports;
mod probe;
mod process;
mod promtool;
mod proof;
mod report;
mod root;
mod routes;
mod schemathesis;
mod servers;
mod services;
mod stack;
mod stop;
mod system_tests;
mod test;
mod up;
mod upgrade;
mod watch;
mod wheels;

use std::process::ExitCode;

use anyhow::ensure;
use clap::{Parser, Subcommand};

/// Runs Ticketing on this machine, and its tests.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole system on real servers, until Ctrl-C.
    Up(up::Options),
    /// Stops an `up`, detached or in another terminal, and the stale processes of a killed one.
    Down(down::Options),
    /// Checks everything that CI checks, except the long tests; needs no server.
    Check(check::Options),
    /// Runs tests, with the servers that they need; works beside a running `up`.
    Test(test::Options),
    /// Injects faults into a marketplace under load, then checks its invariants.
    Chaos(chaos::Options),
    /// Upgrades a marketplace under load from an earlier commit, then checks its invariants.
    Upgrade(upgrade::Options),
    /// Runs a proof that takes too long for CI, before a release.
    Proof(proof::Options),
    /// Measures an optimised build, alone or beside an earlier commit.
    Bench(bench::Options),
    /// Builds the services' images, runs the system from them, and checks each.
    Images(images::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    ensure!(
        cfg!(target_os = "linux"),
        "cargo xtask needs Linux (on Windows, WSL; on macOS, a Linux virtual machine or container)"
    );
    match cli.command {
        Command::Up(options) => up::run(options).await,
        Command::Down(options) => down::run(options).await,
        Command::Check(options) => check::run(options).await,
        Command::Test(options) => test::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::Upgrade(options) => upgrade::run(options).await,
        Command::Proof(options) => proof::run(options).await,
        Command::Bench(options) => bench::run(options).await,
        Command::Images(options) => images::run(options).await,
    }
}
