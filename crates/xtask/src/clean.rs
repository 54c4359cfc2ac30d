//! Cleaning up after an `up` or a `test` that was killed: exactly what it left, and nothing else.

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

/// The pid file of the supervising process itself, which isn't one of the stack.
pub const SUPERVISOR: &str = "up";

/// Ends the processes that the root's pid files name, and removes the files. Only who holds the root's lock may do this.
/// Returns how many were still running.
pub async fn leftovers(root: &Root, report: &Report) -> Result<usize> {
    let run = root.run();
    let mut names = pidfile::names(&run)?;
    // Whoever asks has one too.
    names.retain(|name| {
        pidfile::read(&run, name).is_none_or(|identity| identity.pid != Pid::this())
    });
    let mut stopped = 0;
    for phase in Phase::STOPPING {
        let left = names.iter().filter(|name| Phase::that_stops(name) == phase);
        let left: Vec<(&str, Identity)> =
            left.filter_map(|name| Some((name.as_str(), pidfile::read(&run, name)?))).collect();
        for (name, identity) in &left {
            report.say(&format!(
                "Stopping {name} (pid {}), left behind by an earlier run",
                identity.pid
            ));
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

/// Ends every process that has inherited this environment variable with this value, and returns how many there were. It
/// looks again until there is none: a supervisor may have put another one in the place of one that was ended.
pub async fn heirs_of(variable: &str, value: &str) -> Result<usize> {
    let wanted = format!("{variable}={value}");
    let mut ended = 0;
    loop {
        let heirs = heirs(&wanted)?;
        if heirs.is_empty() {
            return Ok(ended);
        }
        end_all(&heirs).await;
        ended += heirs.len();
    }
}

fn heirs(wanted: &str) -> Result<Vec<Identity>> {
    let has_it = |pid: Pid| {
        let environment =
            fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    let pids = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let heirs = pids.map(Pid::from_raw).filter(|pid| *pid != Pid::this() && has_it(*pid));
    Ok(heirs.filter_map(Identity::of).collect())
}

/// SIGTERM, and after the grace SIGKILL, for processes that aren't our children.
async fn end_all(processes: &[Identity]) {
    for process in processes {
        _ = kill(process.pid, Signal::SIGTERM);
        // One that is stopped (SIGSTOP) would not hear it.
        _ = kill(process.pid, Signal::SIGCONT);
    }
    let begun = Instant::now();
    while processes.iter().any(|process| process.lives()) {
        if begun.elapsed() > GRACE {
            for process in processes.iter().filter(|process| process.lives()) {
                // Its group, if it leads one, else itself.
                _ = killpg(process.pid, Signal::SIGKILL);
                _ = kill(process.pid, Signal::SIGKILL);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}
