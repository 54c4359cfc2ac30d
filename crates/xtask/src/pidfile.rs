//! Which processes were started here: `run/NAME.pid`, and beside it `run/NAME.started` with its start time according to the kernel.
//! A pid alone may have been reused by an unrelated process; a pid with its start time can't.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

/// A process, distinguished from any other that gets the same pid later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub pid: Pid,
    /// In clock ticks since the machine booted.
    started: u64,
}

impl Identity {
    /// `None` when the process doesn't exist or is a zombie.
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: start_time(&stat)? })
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Field 22 of `/proc/PID/stat`. The second field is the program's name, which may hold spaces and parentheses itself.
fn start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

pub fn write(run: &Path, name: &str, pid: Pid) -> Result<()> {
    // A process that is already dead needs no file.
    let Some(Identity { started, .. }) = Identity::of(pid) else { return Ok(()) };
    // The pid is written last: where it exists, the start time does too.
    fs::write(run.join(format!("{name}.started")), format!("{started}\n"))?;
    fs::write(run.join(format!("{name}.pid")), format!("{pid}\n"))
        .with_context(|| format!("writing {name}.pid"))
}

/// The process of the file, if it is alive.
pub fn read(run: &Path, name: &str) -> Option<Identity> {
    let number = |extension| fs::read_to_string(run.join(format!("{name}.{extension}"))).ok();
    let pid: i32 = number("pid")?.trim().parse().ok()?;
    let started = number("started")?.trim().parse().ok()?;
    Some(Identity { pid: Pid::from_raw(pid), started }).filter(|identity| identity.is_alive())
}

pub fn remove(run: &Path, name: &str) {
    for extension in ["pid", "started"] {
        // Already removed, or found to be stale later: both are fine.
        _ = fs::remove_file(run.join(format!("{name}.{extension}")));
    }
}

/// The names of all pid files.
pub fn names(run: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(run)? {
        if let Some(name) = entry?.file_name().to_str().and_then(|file| file.strip_suffix(".pid")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_after_a_name_with_spaces_and_parentheses() {
        let stat = "812 (a) b (c)) S 1 812 812 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10 18446744073709551615";
        assert_eq!(start_time(stat), Some(987_654));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let stat = "812 (a) Z 1 812 812 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10";
        assert_eq!(start_time(stat), None);
    }

    #[test]
    fn a_pid_file_identifies_a_process_only_with_its_start_time() {
        let run = tempfile::tempdir().unwrap();
        let ourselves = Pid::this();
        write(run.path(), "orders", ourselves).unwrap();
        assert_eq!(read(run.path(), "orders"), Identity::of(ourselves));
        assert_eq!(names(run.path()).unwrap(), ["orders"]);

        fs::write(run.path().join("orders.started"), "1\n").unwrap();
        assert_eq!(read(run.path(), "orders"), None);

        remove(run.path(), "orders");
        assert!(names(run.path()).unwrap().is_empty());
    }
}
