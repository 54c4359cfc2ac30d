//! One process of the stack: started in a process group of its own (a Ctrl-C in the terminal reaches only us), written
//! down in its pid file, started again when it dies, and ended at its turn.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{pidfile, probe::Probe, report::Report, root::Root};

/// How long a process may take to end by itself.
pub const GRACE: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);

/// What the whole stack is doing; it only ever goes forward. What stands in front is stopped before what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A process that dies is an error.
    Starting,
    /// A process that dies is started again.
    Supervising,
    StoppingGateway,
    StoppingServices,
    StoppingServers,
}

impl Phase {
    pub const STOPPING: [Self; 3] =
        [Self::StoppingGateway, Self::StoppingServices, Self::StoppingServers];

    /// When the process of a name is stopped.
    pub fn that_stops(name: &str) -> Self {
        match name {
            "nginx" => Self::StoppingGateway,
            "mongod" | "nats" | "redis" | "stripe" => Self::StoppingServers,
            _ => Self::StoppingServices,
        }
    }
}

/// How to start a process.
pub struct Spec {
    /// The name of its pid file and its log.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Added to our own environment.
    pub env: Vec<(String, OsString)>,
    /// Taken out of it.
    pub without: Vec<&'static str>,
    pub ports: Vec<u16>,
    pub probe: Probe,
}

#[derive(Clone, Debug)]
pub enum State {
    Lives,
    /// It has died, and isn't started again; how it ended.
    Died(String),
}

pub struct Process {
    pub name: String,
    pub probe: Probe,
    pub stops_at: Phase,
    pub state: watch::Receiver<State>,
    pub task: JoinHandle<()>,
}

impl Process {
    pub fn start(
        spec: Spec,
        root: &Root,
        phase: watch::Receiver<Phase>,
        report: &Report,
    ) -> Result<Self> {
        let keeper = Keeper { spec, root: root.clone(), report: report.clone() };
        // Of an earlier run: it isn't there the most times.
        _ = fs::remove_file(keeper.hold());
        let child = keeper.spawn()?;
        let (state_sender, state) = watch::channel(State::Lives);
        let Spec { name, probe, .. } = &keeper.spec;
        let (name, probe, stops_at) = (name.clone(), *probe, Phase::that_stops(name));
        let task = tokio::spawn(keeper.keep(child, stops_at, phase, state_sender));
        Ok(Self { name, probe, stops_at, state, task })
    }
}

/// Keeps one process running until its turn to stop.
struct Keeper {
    spec: Spec,
    root: Root,
    report: Report,
}

impl Keeper {
    fn spawn(&self) -> Result<Child> {
        let Spec { name, program, args, env, without, .. } = &self.spec;
        let log = log_file(&self.root, name)?;
        let mut command = Command::new(program);
        command.args(args).envs(env.iter().map(|(key, value)| (key, value)));
        for variable in without {
            command.env_remove(variable);
        }
        let child = command
            .current_dir(crate::root::workspace())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name} ({})", program.display()))?;
        if let Some(pid) = pid_of(&child) {
            pidfile::write(&self.root.run(), name, pid)?;
        }
        Ok(child)
    }

    async fn keep(
        self,
        mut child: Child,
        stops_at: Phase,
        mut phase: watch::Receiver<Phase>,
        state: watch::Sender<State>,
    ) {
        let name = &self.spec.name;
        let mut back_off = Duration::ZERO;
        loop {
            let begun = Instant::now();
            let pid = pid_of(&child);
            let ended = tokio::select! {
                ended = child.wait() => how(ended),
                () = reached(&mut phase, stops_at) => {
                    end(&mut child).await;
                    break;
                }
            };
            if let Some(pid) = pid {
                // Whatever it had started itself goes with it.
                _ = killpg(pid, Signal::SIGKILL);
            }
            if *phase.borrow() == Phase::Starting {
                state.send_replace(State::Died(ended));
                break;
            }
            back_off = next_back_off(back_off, begun.elapsed());
            let then = if self.hold().exists() { "it is held down" } else { "starting it again" };
            self.report.say(&format!("{name} has ended ({ended}): {then}"));
            child = tokio::select! {
                started = self.spawn_until_it_works(back_off) => started,
                () = reached(&mut phase, stops_at) => break,
            };
        }
        pidfile::remove(&self.root.run(), name);
    }

    /// As long as this file is there, the process stays down once it has died.
    fn hold(&self) -> PathBuf {
        self.root.run().join(format!("{}.hold", self.spec.name))
    }

    async fn spawn_until_it_works(&self, mut back_off: Duration) -> Child {
        loop {
            sleep(back_off).await;
            while self.hold().exists() {
                sleep(Duration::from_millis(50)).await;
            }
            match self.spawn() {
                Ok(child) => return child,
                Err(error) => self.report.say(&format!("{error:#}")),
            }
            back_off = LONGEST_BACK_OFF;
        }
    }
}

async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error means that the stack is gone, and this process has to go too.
    _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// At once for a process that had run for a while; ever later, up to a second, for one that dies again and again.
fn next_back_off(last: Duration, ran: Duration) -> Duration {
    if ran > Duration::from_secs(10) {
        Duration::ZERO
    } else {
        (last * 2).clamp(Duration::from_millis(100), LONGEST_BACK_OFF)
    }
}

/// Asks a child to end, and makes it.
pub async fn end(child: &mut Child) {
    let Some(pid) = pid_of(child) else { return };
    _ = kill(pid, Signal::SIGTERM);
    // One that is stopped (SIGSTOP) would not hear it.
    _ = kill(pid, Signal::SIGCONT);
    if timeout(GRACE, child.wait()).await.is_err() {
        _ = killpg(pid, Signal::SIGKILL);
        _ = child.wait().await;
    }
}

/// Asks a child that has others to stop, and waits for as long as that takes.
pub async fn end_in_its_own_time(child: &mut Child) {
    if let Some(pid) = pid_of(child) {
        _ = kill(pid, Signal::SIGTERM);
    }
    _ = child.wait().await;
}

fn pid_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
}

fn how(ended: std::io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

pub fn log_path(root: &Root, name: &str) -> PathBuf {
    root.log().join(format!("{name}.log"))
}

fn log_file(root: &Root, name: &str) -> Result<File> {
    let path = log_path(root, name);
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_dies_is_started_again_within_a_second() {
        let mut back_off = Duration::ZERO;
        for _ in 0..20 {
            back_off = next_back_off(back_off, Duration::ZERO);
            assert!(back_off <= Duration::from_secs(1));
        }
        assert_eq!(back_off, Duration::from_secs(1));
        assert_eq!(next_back_off(back_off, Duration::from_secs(60)), Duration::ZERO);
    }

    #[test]
    fn the_gateway_stops_before_the_services_and_they_before_the_servers() {
        let order = ["nginx", "orders-2", "mongod"].map(Phase::that_stops);
        assert!(order.is_sorted());
        assert_eq!(order, Phase::STOPPING);
    }
}
