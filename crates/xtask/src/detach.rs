//! `cargo xtask up --detach`: starts a background process, and prints its output until it is ready.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    process::{Command as StdCommand, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::{
    process,
    root::Root,
    stop::{INTERRUPTED, Stop},
};

/// Starts this program with these arguments. It is ready once a line of its output begins so.
pub async fn start(
    arguments: Vec<OsString>,
    ready: &str,
    root: &Root,
    stop: &mut Stop,
) -> Result<ExitCode> {
    // This program, even if a build has just replaced its file.
    let mut command = StdCommand::new("/proc/self/exe");
    command.arg0("xtask").args(arguments);
    // It writes its own output to the log too; only a panic message comes through standard error.
    let log = std::fs::File::options().create(true).append(true).open(root.log().join("up.log"))?;
    let mut child = Command::from(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("starting the background process")?;
    let stdout = child.stdout.take().context("the background process has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            () = stop.requested() => {
                process::terminate_and_wait(&mut child).await;
                return Ok(ExitCode::from(INTERRUPTED));
            }
        };
        let Some(line) = line else { break };
        println!("{line}");
        if line.starts_with(ready) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    child.wait().await?;
    Ok(ExitCode::FAILURE)
}
