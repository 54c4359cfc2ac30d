//! Cleaning up after an `up` or a `test` that was killed: exactly the processes that it left running, and nothing else.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::time::sleep;

use crate::{
    pidfile::{self, Identity},
    process::{GRACE, Phase},
    report::Report,
    root::Root,
};

/// The pid file of the supervising process itself, which isn't part of the stack.
pub const SUPERVISOR: &str = "up";

/// Stops the stale processes of earlier runs, by the root's pid files, and removes the files. The caller holds the root's lock.
/// Returns how many were still running.
pub async fn stale_processes(root: &Root, report: &Report) -> Result<usize> {
    let run = root.run();
    let mut names = pidfile::names(&run)?;
    // The caller has a pid file too.
    names.retain(|name| {
        pidfile::read(&run, name).is_none_or(|identity| identity.pid != Pid::this())
    });
    let mut stopped = 0;
    for phase in Phase::STOPPING {
        let left = names.iter().filter(|name| Phase::that_stops(name) == phase);
        let left: Vec<(&str, Identity)> =
            left.filter_map(|name| Some((name.as_str(), pidfile::read(&run, name)?))).collect();
        for (name, identity) in &left {
            report.log(&format!("Stopping {name} (pid {}), a stale process", identity.pid));
        }
        let identities: Vec<Identity> = left.iter().map(|(_, identity)| *identity).collect();
        end_all(&identities).await;
        stopped += identities.len();
    }
    for name in &names {
        pidfile::remove(&run, name);
    }
    Ok(stopped)
}

/// Stops every orphaned process: each that has inherited this environment variable with this value. Returns how many there were.
/// Repeats until none is left: a supervisor may have replaced one that was stopped.
pub async fn orphaned_processes(variable: &str, value: &str) -> Result<usize> {
    let wanted = format!("{variable}={value}");
    let mut ended = 0;
    loop {
        let orphans = orphans(&wanted)?;
        if orphans.is_empty() {
            return Ok(ended);
        }
        end_all(&orphans).await;
        ended += orphans.len();
    }
}

fn orphans(wanted: &str) -> Result<Vec<Identity>> {
    let has_inherited = |pid: Pid| {
        let environment =
            fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    let pids = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let orphans = pids.map(Pid::from_raw).filter(|pid| *pid != Pid::this() && has_inherited(*pid));
    Ok(orphans.filter_map(Identity::of).collect())
}

/// SIGTERM, and SIGKILL after the grace period, for processes that aren't our children.
async fn end_all(processes: &[Identity]) {
    for process in processes {
        _ = kill(process.pid, Signal::SIGTERM);
        // A process that is stopped (SIGSTOP) would not receive it.
        _ = kill(process.pid, Signal::SIGCONT);
    }
    let begun = Instant::now();
    while processes.iter().any(|process| process.is_alive()) {
        if begun.elapsed() > GRACE {
            for process in processes.iter().filter(|process| process.is_alive()) {
                // Its group, if it leads one, and itself.
                _ = killpg(process.pid, Signal::SIGKILL);
                _ = kill(process.pid, Signal::SIGKILL);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}
