//! The programs of an earlier commit.

use std::{ffi::OsString, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{cargo, environment::Environment, root, services};

/// How they are compiled.
#[derive(Clone, Copy)]
pub enum Profile {
    Debug,
    Release,
}

/// The short name of a commit.
pub async fn name(commit: &str) -> Result<String> {
    git(&["rev-parse", "--short", &format!("{commit}^{{commit}}")]).await
}

/// Builds the services of a commit, in a work tree and a target directory of their own: cargo gives both versions of a
/// crate the same name, and would take one for the other.
pub async fn build(
    environment: &Environment,
    commit: &str,
    folder: &Path,
    programs: &Path,
    profile: Profile,
) -> Result<()> {
    println!("Building the programs of {commit}");
    let (source, target) = (&folder.join("source"), folder.join("target"));
    remove_source(source).await?;
    fs::create_dir_all(programs)?;
    let path = source.to_string_lossy();
    git(&["worktree", "add", "--force", "--detach", &path, commit]).await?;
    let manifest = source.join("Cargo.toml").into_os_string();
    let mut args = ["build", "--locked", "--workspace", "--bins", "--manifest-path"]
        .map(OsString::from)
        .to_vec();
    args.push(manifest);
    let profile = match profile {
        Profile::Debug => "debug",
        Profile::Release => {
            args.push("--release".into());
            "release"
        }
    };
    let mut build = cargo::command(environment, &args);
    // Not from inside the repository, where cargo would mix the configuration of both versions.
    build.current_dir("/").env("CARGO_TARGET_DIR", &target);
    let status = build.status().await.context("running cargo")?;
    ensure!(status.success(), "{commit} doesn't build; cargo's message is above");
    for program in programs_of(source)? {
        let built = target.join(profile).join(&program);
        fs::copy(&built, programs.join(&program))
            .with_context(|| format!("copying {}", built.display()))?;
    }
    remove_source(source).await
}

/// The services of a work tree, and the local Stripe and mailbox.
fn programs_of(source: &Path) -> Result<Vec<String>> {
    let mut programs = services::names_in(&source.join("services"))?;
    let doubles = [services::STRIPE_DOUBLE, services::MAIL_DOUBLE];
    let has = |double: &&&str| source.join("crates").join(double).exists();
    programs.extend(doubles.iter().filter(has).map(|double| (*double).to_owned()));
    Ok(programs)
}

/// Removes a work tree; an interrupted run leaves one.
async fn remove_source(source: &Path) -> Result<()> {
    if source.exists() {
        fs::remove_dir_all(source).with_context(|| format!("removing {}", source.display()))?;
    }
    git(&["worktree", "prune"]).await.map(|_| ())
}

pub async fn git(args: &[&str]) -> Result<String> {
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
