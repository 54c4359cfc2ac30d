//! `cargo xtask upgrade`: upgrades a marketplace under load from the programs of an earlier commit. The load and the checker are
//! in `crates/system-tests`; this builds the programs of both versions.

use std::{ffi::OsString, fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::{
    cargo,
    environment::Environment,
    process, root, services,
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
        None => git(&["describe", "--tags", "--abbrev=0"])
            .await
            .context("there is no release to upgrade from: name a commit by --from")?,
    };
    let commit = git(&["rev-parse", "--short", &format!("{from}^{{commit}}")]).await?;
    let folder = root::workspace().join(".dev/upgrade");
    let old = folder.join("programs");
    build_commit(&environment, &commit, &folder.join("source"), &old).await?;
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

/// Builds the services of a commit, from a work tree of its own but with the dependencies that are compiled already.
async fn build_commit(
    environment: &Environment,
    commit: &str,
    source: &Path,
    programs: &Path,
) -> Result<()> {
    println!("Building the programs of {commit}");
    remove_source(source).await?;
    fs::create_dir_all(programs)?;
    let path = source.to_string_lossy();
    git(&["worktree", "add", "--force", "--detach", &path, commit]).await?;
    let manifest = source.join("Cargo.toml").into_os_string();
    let mut args = ["build", "--locked", "--workspace", "--bins", "--manifest-path"]
        .map(OsString::from)
        .to_vec();
    args.push(manifest);
    let mut build = cargo::command(environment, &args);
    // Not from inside the repository, where cargo would mix the configuration of both versions.
    build.current_dir("/").env("CARGO_TARGET_DIR", &environment.target);
    let status = build.status().await.context("running cargo")?;
    ensure!(status.success(), "{commit} doesn't build; cargo's message is above");
    for program in programs_of(source)? {
        let built = environment.binaries(false).join(&program);
        fs::copy(&built, programs.join(&program))
            .with_context(|| format!("copying {}", built.display()))?;
    }
    remove_source(source).await
}

/// The services of a work tree, and the local Stripe.
fn programs_of(source: &Path) -> Result<Vec<String>> {
    let mut programs = services::names_in(&source.join("services"))?;
    programs.push(services::STRIPE_DOUBLE.to_owned());
    Ok(programs)
}

/// Removes a work tree; an interrupted run leaves one.
async fn remove_source(source: &Path) -> Result<()> {
    if source.exists() {
        fs::remove_dir_all(source).with_context(|| format!("removing {}", source.display()))?;
    }
    git(&["worktree", "prune"]).await.map(|_| ())
}

async fn git(args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(root::workspace())
        .output()
        .await
        .context("running git")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", args.join(" "), stderr.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
