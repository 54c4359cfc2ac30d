//! `cargo xtask bench`: measures an optimised build, alone or beside an earlier commit. The load is in `crates/system-tests`;
//! this builds the programs, and says which machine it is.

use std::{ffi::OsString, fs, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{cargo, commit, environment::Environment, root, stop::Stop, system_tests};

#[derive(Args)]
#[command(after_help = "`cargo xtask bench -- --help` lists the benchmarks and their options.")]
pub struct Options {
    /// Measure this commit too, in turn with the working tree
    #[arg(long, value_name = "COMMIT")]
    compare: Option<String>,
    /// Passed on
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    let folder = root::workspace().join(".dev/bench");
    let mut base: Vec<OsString> = Vec::new();
    if let Some(from) = options.compare {
        let commit = commit::name(&from).await?;
        let programs = folder.join("programs").join(&commit);
        commit::build(&environment, &commit, &folder, &programs, commit::Profile::Release).await?;
        base = vec!["--base".into(), commit.into(), programs.into_os_string()];
    }
    cargo::build_programs(&environment, true).await?;
    let name = commit::name("HEAD").await?;
    println!("{}, {name}", machine());
    let args = [vec!["--name".into(), name.into()], base, options.args].concat();
    system_tests::run("bench", &environment.binaries(true), &args, &mut stop).await
}

/// Its processor and memory.
fn machine() -> String {
    let find = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_else(|| format!("unknown {name}"))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = find("/proc/cpuinfo", "model name");
    format!("{cores} cores of {model}, memory {}", find("/proc/meminfo", "MemTotal"))
}
