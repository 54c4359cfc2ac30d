//! `cargo xtask bench` builds and runs this.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use system_tests::bench::{self, Benchmark, Options, Programs};
use system_tests::program;
use testkit::environment;

/// Measures throughput, latency, CPU time and what is sent to MongoDB and NATS
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    benchmarks: Vec<Benchmark>,
    /// How often; medians are reported
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What the measured version is called
    #[arg(long, hide = true, default_value = "now")]
    name: String,
    /// Another version, measured alternately: its name and the directory of its programs
    #[arg(long, hide = true, num_args = 2, value_names = ["NAME", "DIR"])]
    base: Vec<String>,
    /// Where plots are written to
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Where data and logs are
    #[arg(long, value_name = "DIR", default_value = ".dev/bench/stacks")]
    root: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run(run(Cli::parse())).await
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { mut benchmarks, rounds, name, base, plots, root } = cli;
    if benchmarks.is_empty() {
        benchmarks = <Benchmark as clap::ValueEnum>::value_variants().to_vec();
    }
    let root = std::path::absolute(root)?;
    let of = |name: &str, binaries: PathBuf| Programs {
        name: name.to_owned(),
        binaries,
        root: root.join(name),
    };
    let mut programs = Vec::new();
    if let [name, binaries] = &base[..] {
        programs.push(of(name, std::path::absolute(binaries)?));
    }
    programs.push(of(&name, PathBuf::from(environment::required(environment::BIN_DIR))));
    let table = bench::run(&programs, &Options { benchmarks, rounds, plots }).await?;
    println!("\n{table}");
    Ok(ExitCode::SUCCESS)
}
