//! `cargo xtask upgrade`: upgrades a marketplace under load from the programs of an earlier commit. The load and the checker are
//! in `crates/system-tests`; this builds the programs of both versions.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{cargo, commit, environment::Environment, root, stop::Stop, system_tests};

#[derive(Args)]
pub struct Options {
    /// The commit to upgrade from [default: the newest tag]
    #[arg(long, value_name = "COMMIT")]
    from: Option<String>,
    /// Passed on: `--help` lists them
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    let from = match options.from {
        Some(commit) => commit,
        None => commit::git(&["describe", "--tags", "--abbrev=0"])
            .await
            .context("there is no release to upgrade from: name a commit by --from")?,
    };
    let commit = commit::name(&from).await?;
    let folder = root::workspace().join(".dev/upgrade");
    let old = folder.join("programs");
    commit::build(&environment, &commit, &folder, &old, commit::Profile::Debug).await?;
    println!("Building the programs to upgrade to");
    cargo::build_programs(&environment, false).await?;
    let args = [vec!["--from".into(), old.into_os_string()], options.args].concat();
    system_tests::run("upgrade", &environment.binaries(false), &args, &mut stop).await
}
