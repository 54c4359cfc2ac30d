//! Running a program of `crates/system-tests`, which starts stacks of its own by this one.

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    process, root,
    stop::{INTERRUPTED, Stop},
};

/// Runs it with the programs of this directory, on doubles of Stripe and of the mail server, until it ends or is stopped.
pub async fn run(
    name: &str,
    binaries: &Path,
    args: &[OsString],
    stop: &mut Stop,
) -> Result<ExitCode> {
    let mut program = Command::new(binaries.join(name))
        .args(args)
        .current_dir(root::workspace())
        .env("TEST_XTASK", binaries.join("xtask"))
        .env("TEST_BIN_DIR", binaries)
        .env_remove("STRIPE_KEY")
        .env_remove("SMTP_URL")
        .env_remove("SENDGRID_API_KEY")
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let status = tokio::select! {
        status = program.wait() => status?,
        () = stop.requested() => {
            process::terminate_and_wait(&mut program).await;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
