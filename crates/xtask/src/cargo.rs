//! Calling cargo, with its own progress on the terminal.

use std::ffi::OsString;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{environment::Environment, root};

/// A cargo that ends when nobody waits for it any more.
pub fn command(environment: &Environment, args: &[OsString]) -> Command {
    let mut command = Command::new(&environment.cargo);
    command.args(args).current_dir(root::workspace()).kill_on_drop(true);
    command
}

/// Builds what the arguments say.
pub async fn build(environment: &Environment, args: &[OsString]) -> Result<()> {
    let args = [&["build".into()], args].concat();
    let status = command(environment, &args).status().await.context("running cargo")?;
    anyhow::ensure!(status.success(), "the build has failed; cargo's own message is above");
    Ok(())
}
