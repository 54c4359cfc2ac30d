//! `cargo xtask chaos`: injects faults into a marketplace under load, then checks its invariants. The faults and the checker are
//! in `crates/system-tests`; this builds them and the services, and runs them.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    cargo,
    environment::Environment,
    process, root,
    stop::{INTERRUPTED, Stop},
};

#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let environment = Environment::read()?;
    cargo::build(&environment, &["--workspace".into(), "--bins".into()]).await?;
    let binaries = environment.binaries(false);
    let mut chaos = tokio::process::Command::new(binaries.join("chaos"))
        .args(&options.args)
        .current_dir(root::workspace())
        .env("TEST_XTASK", binaries.join("xtask"))
        .env("TEST_BIN_DIR", &binaries)
        .env_remove("STRIPE_KEY")
        .env_remove("SMTP_URL")
        .env_remove("SENDGRID_API_KEY")
        .spawn()
        .context("starting chaos")?;
    let status = tokio::select! {
        status = chaos.wait() => status?,
        () = stop.requested() => {
            process::terminate_and_wait(&mut chaos).await;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
