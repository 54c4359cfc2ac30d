//! The processes of a running stack, as its pid files identify them. The one reader of those files in tests.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use testkit::retry_for;

/// How long the restart of a process may take.
const RESTART_TIMEOUT: Duration = Duration::from_secs(20);

/// A process. Its start time distinguishes it from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: Pid,
    /// In clock ticks since boot.
    started: u64,
}

impl Process {
    /// False if it has exited.
    pub fn send(self, signal: Signal) -> bool {
        self.is_running() && kill(self.pid, signal).is_ok()
    }

    pub fn is_running(self) -> bool {
        started(self.pid) == Some(self.started)
    }

    /// Whether all of its threads have stopped: SIGSTOP takes effect only once one of them is scheduled.
    pub fn is_suspended(self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid)) else { return false };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, fields)| fields.starts_with(" T"))
        })
    }

    /// The most resident memory that it has had so far, in bytes.
    pub fn peak_memory(self) -> u64 {
        testkit::peak_memory(self.pid.as_raw().unsigned_abs())
    }

    /// The resident memory that it has now, in bytes.
    pub fn memory(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or_default() * 1024
    }

    /// The CPU time that it has used so far, in its own code and in the kernel.
    pub fn cpu_time(self) -> Duration {
        let ticks = stat(self.pid).and_then(|fields| {
            // Fields 14 and 15.
            let mut fields = fields.split_whitespace().skip(11);
            let [user, system] = [fields.next()?, fields.next()?];
            Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
        });
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        Duration::from_secs_f64(ticks.unwrap_or_default() as f64 / per_second as f64)
    }

    /// The environment that it was started with, as far as it hasn't overwritten it.
    pub fn environment(self) -> Vec<(OsString, OsString)> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid));
        let environment = environment.expect("a running process");
        let variables = environment.split(|byte| *byte == 0).filter_map(|variable| {
            let equals = variable.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&variable[..equals], &variable[equals + 1..]);
            Some((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value).to_owned()))
        });
        variables.collect()
    }
}

/// All processes of a stack.
#[derive(Clone, Debug)]
pub struct Processes {
    run: PathBuf,
}

impl Processes {
    /// Those of the stack in this directory.
    pub fn of(root: &Path) -> Self {
        Processes { run: root.join("run") }
    }

    /// Their names, such as `orders` or `web-2`.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.run).expect("the directory of pid files");
        let files = entries.map(|entry| entry.expect("a pid file").path());
        let pid_files = files.filter(|file| file.extension().is_some_and(|it| it == "pid"));
        pid_files
            .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
            .collect()
    }

    /// The process of this name; none if it isn't running.
    pub fn get(&self, name: &str) -> Option<Process> {
        let number =
            |extension| fs::read_to_string(self.run.join(format!("{name}.{extension}"))).ok();
        let pid = Pid::from_raw(number("pid")?.trim().parse().ok()?);
        let started = number("started")?.trim().parse().ok()?;
        Some(Process { pid, started }).filter(|process| process.is_running())
    }

    /// Waits until the process of this name is running.
    pub async fn wait_for(&self, name: &str) -> Result<Process> {
        let running = retry_for(RESTART_TIMEOUT, async || self.get(name).ok_or(())).await;
        running.map_err(|()| anyhow!("{name} was not restarted within {RESTART_TIMEOUT:?}"))
    }
}

/// Field 22 of `/proc/PID/stat`; none if there is no such process, or only its zombie.
fn started(pid: Pid) -> Option<u64> {
    let fields = stat(pid)?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// `/proc/PID/stat` from field 3 on: what comes before may contain anything.
fn stat(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.to_owned())
}
