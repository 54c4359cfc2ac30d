//! `cargo xtask chaos` builds and runs this.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use rand::Rng;
use system_tests::chaos::{self, Kind, Options};
use system_tests::{Stack, program};

/// Kills, suspends and wipes the processes of a stack under load, and checks that the invariants hold
#[derive(Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos")]
struct Cli {
    /// The number of SIGKILLs, distributed evenly over the services and their servers
    #[arg(long, default_value_t = 60)]
    kills: usize,
    /// The seed of the faults, to repeat a run [default: a new one]
    #[arg(long)]
    seed: Option<u64>,
    /// A kind of fault to leave out; may be given several times
    #[arg(long, value_name = "KIND")]
    without: Vec<Kind>,
    /// Where its data and logs are
    #[arg(long, value_name = "DIR", default_value = ".dev/chaos")]
    root: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run(run(Cli::parse())).await
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { kills, seed, without, root } = cli;
    let seed = seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let root = std::path::absolute(root)?;
    println!("Starting a stack in {}", root.display());
    let stack = Stack::start_in(&root, 1, &chaos::SETTINGS)?;
    let report =
        chaos::run(&stack, &Options { kills, seed, without, ..Options::default() }).await?;
    println!("\n{report}");
    if report.passed() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", chaos::save_for_inspection(&report, &root)?);
    Ok(ExitCode::FAILURE)
}
