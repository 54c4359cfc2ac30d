//! The processes of a running stack, as its pid files name them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process that died may take to be there again.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process, told from any other that may get the same pid later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub pid: Pid,
    /// In clock ticks since the machine was started.
    started: u64,
}

impl Target {
    /// False, if it is gone.
    pub fn send(self, signal: Signal) -> bool {
        started(self.pid) == Some(self.started) && kill(self.pid, signal).is_ok()
    }
}

#[derive(Clone)]
pub struct Processes {
    run: PathBuf,
}

impl Processes {
    pub fn of(root: &Path) -> Self {
        Processes { run: root.join("run") }
    }

    /// The process of this name, as soon as it lives.
    pub async fn find(&self, name: &str) -> Result<Target> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(target) = self.read(name) {
                return Ok(target);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{name} didn't come back within {PATIENCE:?}")
    }

    fn read(&self, name: &str) -> Option<Target> {
        let number =
            |extension| fs::read_to_string(self.run.join(format!("{name}.{extension}"))).ok();
        let pid = Pid::from_raw(number("pid")?.trim().parse().ok()?);
        let started_at = number("started")?.trim().parse().ok()?;
        let lives = started(pid) == Some(started_at);
        lives.then_some(Target { pid, started: started_at })
    }
}

/// Field 22 of `/proc/PID/stat`; none if there is no such process, or only its zombie.
fn started(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}
