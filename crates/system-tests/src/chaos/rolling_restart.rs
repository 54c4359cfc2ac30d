//! A rolling restart, as for a deployment: every replica of every service is stopped and restarted, one after the other,
//! under load. No request may fail because of it. In a rolling upgrade, what is restarted is a new program.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;
use testkit::retry_for;
use tokio::task::JoinSet;

use super::gateway_client::UnknownOutcome;
use super::running::Running;
use super::{RESERVATION, connect, quiescence};
use crate::checker::{Invariant, Violation, check};
use crate::{Stack, workspace};

/// How many clients sell and buy, and how many read pages: few enough for a slow machine, as this is no load test.
const CLIENTS: usize = 8;
const READERS: usize = 4;
/// So many requests are completed between one restart and the next, so that each restart is under load.
const REQUESTS_BETWEEN: u64 = 100;
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a graceful shutdown may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// The outcome.
#[derive(Debug)]
pub struct RollingRestart {
    pub restarted: usize,
    /// Completed requests, to the API and for pages.
    pub completed: u64,
    /// Descriptions of those that failed.
    pub failed: Vec<String>,
    pub violations: Vec<Violation>,
}

/// Restarts every process of a stack of several replicas by this signal, one after the other.
pub async fn rolling_restart(
    stack: &Stack,
    replicas: u16,
    seed: u64,
    signal: Signal,
) -> Result<RollingRestart> {
    restart_all(stack, replicas, seed, signal, None).await
}

/// Replaces every program of a stack that runs from the directory `running` by the one of the directory `new`, as a rolling
/// deployment does: one service after the other, and one replica after the other.
pub async fn rolling_upgrade(
    stack: &Stack,
    replicas: u16,
    seed: u64,
    running: &Path,
    new: &Path,
) -> Result<RollingRestart> {
    let upgrade = Upgrade { running, new };
    restart_all(stack, replicas, seed, Signal::SIGTERM, Some(upgrade)).await
}

/// What replaces the programs.
#[derive(Clone, Copy)]
struct Upgrade<'a> {
    running: &'a Path,
    new: &'a Path,
}

impl Upgrade<'_> {
    fn replace(self, service: &str) -> Result<()> {
        let (program, copy) =
            (self.running.join(service), self.running.join(format!("{service}.new")));
        // A running program can't be written to, but its directory entry can be replaced.
        fs::copy(self.new.join(service), &copy).with_context(|| format!("copying {service}"))?;
        fs::rename(copy, program).with_context(|| format!("replacing {service}"))
    }
}

async fn restart_all(
    stack: &Stack,
    replicas: u16,
    seed: u64,
    signal: Signal,
    upgrade: Option<Upgrade<'_>>,
) -> Result<RollingRestart> {
    let running = Running::start(stack, seed, RESERVATION, CLIENTS).await?;
    let load = Arc::clone(&running.load);
    let readers = Readers::start(&stack.url())?;
    let completed = || readers.completed.load(Ordering::Relaxed) + load.gateway.completed();
    let mut restarted = 0;
    for service in workspace::services() {
        if let Some(upgrade) = upgrade {
            upgrade.replace(&service)?;
        }
        for number in 1..=replicas {
            let goal = completed() + REQUESTS_BETWEEN;
            restart(stack, &format!("{service}-{number}"), signal).await?;
            restarted += 1;
            let reached = async || if completed() < goal { Err(()) } else { Ok(()) };
            let reached = retry_for(REQUESTS_TIMEOUT, reached).await;
            reached.map_err(|()| anyhow!("after the restart of {service}, requests fail"))?;
        }
    }
    let acknowledged = running.stop().await?;
    let completed = completed();
    let mut failed = readers.stop().await;
    for (operation, outcomes) in load.gateway.tally().iter() {
        let unknown =
            outcomes.unknown.iter().filter(|(why, _)| **why != UnknownOutcome::ClientDisconnected);
        failed.extend(unknown.map(|(why, count)| format!("{operation:?}: {count} times {why}")));
    }
    let servers = connect(stack).await?;
    let pending = quiescence::wait(&servers).await;
    let mut violations = check(&servers.read(acknowledged, false).await?);
    violations.extend(
        pending.into_iter().map(|what| Violation { invariant: Invariant::Quiescence, what }),
    );
    Ok(RollingRestart { restarted, completed, failed, violations })
}

/// Ends a process, and waits until another one has taken its place and is ready.
pub async fn restart(stack: &Stack, name: &str, signal: Signal) -> Result<()> {
    let processes = stack.processes();
    let old = processes.wait_for(name).await?;
    ensure!(old.send(signal), "{name} has exited already");
    let exited = async || if old.is_running() { Err(()) } else { Ok(()) };
    let exited = retry_for(SHUTDOWN_TIMEOUT, exited).await;
    exited.map_err(|()| anyhow!("{name} does not stop"))?;
    processes.wait_for(name).await?;
    stack.is_ready(name).await;
    Ok(())
}

/// Clients that read the front page repeatedly.
struct Readers {
    stopped: Arc<AtomicBool>,
    completed: Arc<AtomicU64>,
    readers: JoinSet<Vec<String>>,
}

impl Readers {
    fn start(url: &str) -> Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let (stopped, completed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            let (http, url) = (http.clone(), url.to_owned());
            let (stopped, completed) = (Arc::clone(&stopped), Arc::clone(&completed));
            readers.spawn(async move {
                let mut failed = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    match http.get(&url).send().await {
                        Ok(page) if page.status() == 200 => {
                            completed.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(page) => failed.push(format!("a page: {}", page.status())),
                        Err(error) => failed.push(format!("a page: {error:?}")),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                failed
            });
        }
        Ok(Readers { stopped, completed, readers })
    }

    async fn stop(self) -> Vec<String> {
        self.stopped.store(true, Ordering::Relaxed);
        self.readers.join_all().await.concat()
    }
}
