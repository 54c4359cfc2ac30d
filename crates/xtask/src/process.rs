//! One process of the stack: started in a process group of its own (a Ctrl-C in the terminal reaches only this program), recorded
//! in its pid file, restarted when it exits, and stopped in its phase.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::process::ExitStatusExt as _,
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

/// How long a process may take for its graceful shutdown.
pub const GRACE: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);

/// What the whole stack is doing; it only moves forward. Each process is stopped before those that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A process that exits is an error.
    Starting,
    /// A process that exits is restarted.
    Supervising,
    StoppingGateway,
    StoppingServices,
    StoppingServers,
}

impl Phase {
    pub const STOPPING: [Self; 3] =
        [Self::StoppingGateway, Self::StoppingServices, Self::StoppingServers];

    /// The phase in which the process of this name is stopped.
    pub fn that_stops(name: &str) -> Self {
        match name {
            "nginx" => Self::StoppingGateway,
            "mongod" | "nats" | "redis" | "stripe" | "mail" => Self::StoppingServers,
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
    /// Added to the inherited environment.
    pub env: Vec<(String, OsString)>,
    /// Removed from it.
    pub without: Vec<&'static str>,
    pub ports: Vec<u16>,
    pub probe: Probe,
}

#[derive(Clone, Debug)]
pub enum State {
    Running,
    /// It has exited and isn't restarted; with its status.
    Exited(String),
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
        let supervisor = Supervisor { spec, root: root.clone(), report: report.clone() };
        // Of an earlier run; usually there is none.
        _ = fs::remove_file(supervisor.hold());
        let child = supervisor.spawn()?;
        let (state_sender, state) = watch::channel(State::Running);
        let Spec { name, probe, .. } = &supervisor.spec;
        let (name, probe, stops_at) = (name.clone(), *probe, Phase::that_stops(name));
        let task = tokio::spawn(supervisor.run(child, stops_at, phase, state_sender));
        Ok(Self { name, probe, stops_at, state, task })
    }
}

/// Keeps one process running until its phase to stop.
struct Supervisor {
    spec: Spec,
    root: Root,
    report: Report,
}

impl Supervisor {
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

    async fn run(
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
            let status = tokio::select! {
                status = child.wait() => describe(status),
                () = reached(&mut phase, stops_at) => {
                    end(&mut child).await;
                    break;
                }
            };
            if let Some(pid) = pid {
                // The processes that it had started itself are killed too.
                _ = killpg(pid, Signal::SIGKILL);
            }
            if *phase.borrow() == Phase::Starting {
                state.send_replace(State::Exited(status));
                break;
            }
            back_off = next_back_off(back_off, begun.elapsed());
            let next = if self.hold().exists() { "on hold" } else { "restarting" };
            self.report.log(&format!("{name} has exited ({status}): {next}"));
            child = tokio::select! {
                restarted = self.respawn(back_off) => restarted,
                () = reached(&mut phase, stops_at) => break,
            };
        }
        pidfile::remove(&self.root.run(), name);
    }

    /// While this file exists, the process isn't restarted.
    fn hold(&self) -> PathBuf {
        self.root.run().join(format!("{}.hold", self.spec.name))
    }

    async fn respawn(&self, mut back_off: Duration) -> Child {
        loop {
            sleep(back_off).await;
            while self.hold().exists() {
                sleep(Duration::from_millis(50)).await;
            }
            match self.spawn() {
                Ok(child) => return child,
                Err(error) => self.report.log(&format!("{error:#}")),
            }
            back_off = LONGEST_BACK_OFF;
        }
    }
}

async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error means that the stack was dropped, and this process has to stop too.
    _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// None for a process that had run for a while; growing up to a second for one that exits repeatedly.
fn next_back_off(last: Duration, ran: Duration) -> Duration {
    if ran > Duration::from_secs(10) {
        Duration::ZERO
    } else {
        (last * 2).clamp(Duration::from_millis(100), LONGEST_BACK_OFF)
    }
}

/// Stops a child: SIGTERM, and SIGKILL after the grace period.
pub async fn end(child: &mut Child) {
    let Some(pid) = pid_of(child) else { return };
    _ = kill(pid, Signal::SIGTERM);
    // A process that is stopped (SIGSTOP) would not receive it.
    _ = kill(pid, Signal::SIGCONT);
    if timeout(GRACE, child.wait()).await.is_err() {
        _ = killpg(pid, Signal::SIGKILL);
        _ = child.wait().await;
    }
}

/// Terminates a child that has processes of its own to stop, and waits for as long as that takes.
pub async fn terminate_and_wait(child: &mut Child) {
    if let Some(pid) = pid_of(child) {
        _ = kill(pid, Signal::SIGTERM);
    }
    _ = child.wait().await;
}

fn pid_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), describe_status)
}

/// As [`ExitStatus`] prints it; of the signal that has a cause outside of the program, with that.
pub fn describe_status(status: ExitStatus) -> String {
    if status.signal() == Some(Signal::SIGILL as i32) {
        return format!(
            "{status}: this CPU lacks instructions that the program was compiled for. MongoDB needs AVX from 5.0 on: use a \
             machine that has it (`grep avx /proc/cpuinfo`), or let the virtual machine see the host's CPU model"
        );
    }
    status.to_string()
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
    fn a_process_that_exits_is_restarted_within_a_second() {
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
