//! `cargo xtask down`: stops a running `up`, and the stale processes of a killed one.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use tokio::time::sleep;

use crate::{clean, pidfile, process, report::Report, root::Root};

#[derive(Args)]
pub struct Options {
    /// The root of the system to stop [default: .dev in the repository]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    if let Some(root) = options.root.as_ref().filter(|root| !root.exists()) {
        println!("Nothing is running in {}: the folder does not exist", root.display());
        return Ok(ExitCode::SUCCESS);
    }
    let root = Root::open(options.root.as_deref(), ".dev")?;
    let report = Report::to(&root.log().join("up.log"))?;
    let mut stopped = 0;
    if let Some(up) = pidfile::read(&root.run(), clean::SUPERVISOR) {
        report.log(&format!("Stopping `up` (pid {})", up.pid));
        kill(up.pid, Signal::SIGTERM)?;
        let begun = Instant::now();
        // It stops the gateway, the services and the servers in turn, each within the grace period.
        while up.is_alive() && begun.elapsed() < process::GRACE * 4 {
            sleep(Duration::from_millis(20)).await;
        }
        if up.is_alive() {
            kill(up.pid, Signal::SIGKILL)?;
        }
        stopped += 1;
    }
    let begun = Instant::now();
    let _lock = loop {
        match root.lock()? {
            Some(lock) => break lock,
            None if begun.elapsed() > Duration::from_secs(5) => {
                bail!(
                    "another command is running in {}: try again when it has finished",
                    root.dir().display()
                )
            }
            None => sleep(Duration::from_millis(20)).await,
        }
    };
    stopped += clean::stale_processes(&root, &report).await?;
    let outcome = if stopped == 0 { "Nothing is running" } else { "Stopped everything" };
    report.log(&format!("{outcome} in {}", root.dir().display()));
    Ok(ExitCode::SUCCESS)
}
