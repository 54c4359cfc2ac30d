//! `cargo xtask upgrade`: upgrades a marketplace under load from the programs of an earlier commit. The load and the checker are
//! in `crates/system-tests`; this builds the programs of both versions.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::process::Command;

use crate::{
    cargo, commit,
    environment::Environment,
    process, root,
    stop::{INTERRUPTED, Stop},
};

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
    cargo::build(&environment, &["--workspace".into(), "--bins".into()]).await?;
    let binaries = environment.binaries(false);
    let mut upgrade = Command::new(binaries.join("upgrade"))
        .arg("--from")
        .arg(&old)
        .args(&options.args)
        .current_dir(root::workspace())
        .env("TEST_XTASK", binaries.join("xtask"))
        .env("TEST_BIN_DIR", &binaries)
        .env_remove("STRIPE_KEY")
        .spawn()
        .context("starting upgrade")?;
    let status = tokio::select! {
        status = upgrade.wait() => status?,
        () = stop.requested() => {
            process::terminate_and_wait(&mut upgrade).await;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
