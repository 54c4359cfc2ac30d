//! The processes of one root, all together.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use tokio::{sync::watch, time::sleep};

use crate::{
    pidfile,
    process::{Phase, Process, Spec, State, log_path},
    report::Report,
    root::Root,
};

/// How long a process may take to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(90);

pub struct Stack {
    root: Root,
    report: Report,
    phase: watch::Sender<Phase>,
    processes: Vec<Process>,
    ready: usize,
}

impl Stack {
    pub fn new(root: &Root, report: &Report) -> Self {
        let (phase, _) = watch::channel(Phase::Starting);
        Self { root: root.clone(), report: report.clone(), phase, processes: Vec::new(), ready: 0 }
    }

    /// Starts a process with an empty log; the previous log is kept beside it.
    pub fn start(&mut self, spec: Spec) -> Result<()> {
        let log = log_path(&self.root, &spec.name);
        // There is none the first time.
        _ = fs::rename(&log, log.with_extension("previous.log"));
        self.processes.push(Process::start(
            spec,
            &self.root,
            self.phase.subscribe(),
            &self.report,
        )?);
        Ok(())
    }

    /// Waits until every started process is ready, or one of them exits.
    pub async fn until_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut logged = begun;
        loop {
            let mut waiting = Vec::new();
            for process in &self.processes[self.ready..] {
                if let Err(why) = process.probe.check().await {
                    waiting.push((process, why));
                }
            }
            if let Some((process, status)) = self.processes.iter().find_map(exited) {
                bail!(
                    "{} has exited ({status}).\n{}",
                    process.name,
                    self.end_of_log(&process.name)
                );
            }
            let names: Vec<&str> =
                waiting.iter().map(|(process, _)| process.name.as_str()).collect();
            let Some((process, why)) = waiting.first() else {
                self.ready = self.processes.len();
                return Ok(());
            };
            if begun.elapsed() > START_TIMEOUT {
                let seconds = START_TIMEOUT.as_secs();
                bail!(
                    "{} isn't ready after {seconds} s ({why}).\n{}",
                    process.name,
                    self.end_of_log(&process.name)
                );
            }
            if logged.elapsed() > Duration::from_secs(3) {
                logged = Instant::now();
                self.report.log(&format!("  waiting for {} ({why})", names.join(", ")));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// From here on, a process that exits is restarted.
    pub fn supervise(&self) {
        self.phase.send_replace(Phase::Supervising);
    }

    /// Restarts a process, and waits until it is ready.
    pub async fn restart(&self, name: &str) -> Result<()> {
        const TIMEOUT: Duration = Duration::from_secs(20);
        let process = self.processes.iter().find(|process| process.name == name);
        let process = process.with_context(|| format!("no process {name}"))?;
        let run = self.root.run();
        let old = pidfile::read(&run, name);
        if let Some(old) = old {
            // It may have exited already.
            _ = kill(old.pid, Signal::SIGTERM);
        }
        let begun = Instant::now();
        loop {
            let is_new = pidfile::read(&run, name).is_some_and(|current| Some(current) != old);
            if is_new && process.probe.check().await.is_ok() {
                return Ok(());
            }
            if begun.elapsed() > TIMEOUT {
                bail!("{name} isn't ready.\n{}", self.end_of_log(name));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops every process: the gateway, then the services, then the servers.
    pub async fn stop(self) {
        for phase in Phase::STOPPING {
            self.phase.send_replace(phase);
            for process in self.processes.iter().filter(|process| process.stops_at == phase) {
                while !process.task.is_finished() {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn end_of_log(&self, name: &str) -> String {
        let path = log_path(&self.root, name);
        let text = fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n  ");
        format!("The end of its log, {}:\n  {last}", path.display())
    }
}

fn exited(process: &Process) -> Option<(&Process, String)> {
    match &*process.state.borrow() {
        State::Running => None,
        State::Exited(status) => Some((process, status.clone())),
    }
}
