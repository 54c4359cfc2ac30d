//! `cargo xtask up --detach`: starts a background process, and prints its output until it is ready.

use std::{
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
    stop::Stop,
    up::{INTERRUPTED, Options, READY},
};

pub async fn start(options: &Options, root: &Root, stop: &mut Stop) -> Result<ExitCode> {
    // This program, even if a build has just replaced its file.
    let mut command = StdCommand::new("/proc/self/exe");
    command
        .arg0("xtask")
        .args(["up", "--supervise", "--no-build", "--port"])
        .arg(options.port.to_string());
    command.arg("--replicas").arg(options.replicas.to_string());
    if options.release {
        command.arg("--release");
    }
    if options.root.is_some() {
        command.arg("--root").arg(root.dir());
    }
    if let Some(folder) = &options.bin_dir {
        command.arg("--bin-dir").arg(folder);
    }
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
        if line.starts_with(READY) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    child.wait().await?;
    Ok(ExitCode::FAILURE)
}
