//! `cargo xtask`: runs the whole system on this machine, and its tests.
//!
//! One file a command. It finds or downloads the real servers, builds the services, starts and supervises all of it on
//! loopback, and leaves nothing behind. It depends on no crate of ours: it knows the services by their folders, their
//! binaries and their environment variables.

mod browser;
mod cargo;
mod chaos;
mod clean;
mod detach;
mod down;
mod elf;
mod environment;
mod gateway;
mod images;
mod load;
mod mongo;
mod nats;
mod pidfile;
mod ports;
mod probe;
mod process;
mod report;
mod root;
mod servers;
mod services;
mod stack;
mod stop;
mod test;
mod trial;
mod up;
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
    /// Starts everything, on real servers, until Ctrl-C.
    Up(up::Options),
    /// Stops what `up` started, detached or in another terminal, and what a killed `up` left behind.
    Down(down::Options),
    /// Runs every test, against real servers of its own; works beside a running `up`.
    Test(test::Options),
    /// Kills, stops and wipes what a marketplace under load is made of, and checks that its promises hold.
    Chaos(chaos::Options),
    /// Builds the services' images, runs the whole from them, and tries each.
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
        Command::Test(options) => test::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::Images(options) => images::run(options).await,
    }
}
