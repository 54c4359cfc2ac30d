//! `cargo xtask upgrade` builds and runs this.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use system_tests::{Stack, chaos, program, workspace};
use testkit::environment;

const REPLICAS: u16 = 2;
/// The local mailbox.
const MAILBOX: &str = "mail-double";

/// Upgrades a stack under load, one replica after another, and checks that no request failed and the invariants hold
#[derive(Parser)]
struct Cli {
    /// The programs to upgrade from; replaced one by one
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Where its data and logs are
    #[arg(long, value_name = "DIR", default_value = ".dev/upgrade/stack")]
    root: PathBuf,
    /// The seed of the load
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run(run(Cli::parse())).await
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { from, root, seed } = cli;
    let [from, root] = [std::path::absolute(from)?, std::path::absolute(root)?];
    let new = PathBuf::from(environment::required(environment::BIN_DIR));
    // What the earlier version lacks is deployed before its services are upgraded: services, and the local mailbox.
    for program in workspace::services().into_iter().chain([MAILBOX.to_owned()]) {
        if !from.join(&program).exists() {
            println!("{program} is new");
            std::fs::copy(new.join(&program), from.join(&program))
                .with_context(|| format!("copying {program}"))?;
        }
    }
    println!("Starting the earlier version in {}", root.display());
    let stack = Stack::start_programs(&from, &root, REPLICAS, &chaos::SETTINGS)?;
    println!("Upgrading one replica after another, under load");
    let outcome = chaos::rolling_upgrade(&stack, REPLICAS, seed, &from, &new).await?;
    println!("{} requests, {} processes upgraded", outcome.completed, outcome.restarted);
    for failed in &outcome.failed {
        println!("failed    {failed}");
    }
    for violation in &outcome.violations {
        println!("violated  {violation:?}");
    }
    println!("{} failed, {} broken", outcome.failed.len(), outcome.violations.len());
    let passed = outcome.failed.is_empty() && outcome.violations.is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
