//! `cargo xtask chaos`: injects faults into a marketplace under load, then checks its invariants. The faults and the checker are
//! in `crates/system-tests`; this builds them and the services, and runs them.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{cargo, environment::Environment, stop::Stop, system_tests};

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
    cargo::build_programs(&environment, false).await?;
    system_tests::run("chaos", &environment.binaries(false), &options.args, &mut stop).await
}
