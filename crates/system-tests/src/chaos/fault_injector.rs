//! Injects one fault after the other into the running stack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use testkit::retry_for;
use tokio::task::JoinSet;

use super::faults::{Fault, Kind};
use super::in_flight::InFlight;
use crate::processes::{Process, Processes};

/// How long Stripe's double may take to restart.
const TIMEOUT: Duration = Duration::from_secs(20);

pub struct FaultInjector {
    processes: Processes,
    /// The directory of NATS' streams.
    broker_store: PathBuf,
    redis_url: String,
    stripe_url: String,
    started: Instant,
    http: reqwest::Client,
    suspended: Vec<Process>,
    resuming: JoinSet<()>,
    pub injected: InjectedFaults,
}

/// The faults that were injected so far.
#[derive(Clone, Debug, Default)]
pub struct InjectedFaults {
    pub kills: BTreeMap<String, usize>,
    pub kinds: BTreeMap<Kind, usize>,
}

impl FaultInjector {
    pub fn new(root: PathBuf, redis: u16, stripe: u16) -> Result<Self> {
        Ok(FaultInjector {
            processes: Processes::of(&root),
            broker_store: root.join("data/nats"),
            redis_url: format!("redis://127.0.0.1:{redis}"),
            stripe_url: format!("http://127.0.0.1:{stripe}"),
            started: Instant::now(),
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?,
            suspended: Vec::new(),
            resuming: JoinSet::new(),
            injected: InjectedFaults::default(),
        })
    }

    /// Injects these faults, each after its pause.
    pub async fn run(
        &mut self,
        faults: Vec<(Duration, Fault)>,
        in_flight: &InFlight,
    ) -> Result<()> {
        let count = faults.len();
        for (number, (pause, fault)) in faults.into_iter().enumerate() {
            tokio::time::sleep(pause).await;
            let (hit, remark) = self.inject(&fault, in_flight).await?;
            let at = self.started.elapsed().as_secs_f64();
            println!(
                "{at:7.1} s  {:>4}/{count}  {:<72} {hit}{remark}",
                number + 1,
                fault.to_string()
            );
        }
        Ok(())
    }

    /// Resumes all suspended processes, and clears Stripe's faults.
    pub async fn stop(&mut self) -> Result<()> {
        self.resuming.abort_all();
        for process in self.suspended.drain(..) {
            // It may have been killed, or resumed already.
            process.send(Signal::SIGCONT);
        }
        // It may be restarting.
        self.processes.wait_for("stripe").await?;
        let url = format!("{}/_faults", self.stripe_url);
        let cleared = retry_for(TIMEOUT, async || self.http.delete(&url).send().await).await;
        cleared.map(drop).context("clearing Stripe's faults")
    }

    /// Injects a fault, and describes what it has hit.
    async fn inject(&mut self, fault: &Fault, in_flight: &InFlight) -> Result<(String, String)> {
        let name = match fault {
            Fault::Kill(name) | Fault::Suspend(name, _) => name,
            Fault::Wipe => "nats",
            Fault::Gateway => "nginx",
            Fault::Flush => "redis",
            Fault::Stripe(_) => "stripe",
        };
        let process = self.processes.wait_for(name).await?;
        let hit = in_flight.record_fault();
        let mut remark = String::new();
        match fault {
            Fault::Kill(name) => {
                process.send(Signal::SIGKILL);
                *self.injected.kills.entry(name.clone()).or_default() += 1;
            }
            Fault::Gateway => drop(process.send(Signal::SIGKILL)),
            Fault::Suspend(_, time) => self.suspend_for(process, *time),
            Fault::Wipe => self.wipe_broker(process)?,
            Fault::Flush => remark = remark_on(self.flush().await),
            Fault::Stripe(fault) => {
                let armed = self.http.post(format!("{}/_faults", self.stripe_url)).json(fault);
                remark = remark_on(
                    armed.send().await.and_then(reqwest::Response::error_for_status).map(drop),
                );
            }
        }
        *self.injected.kinds.entry(fault.kind()).or_default() += 1;
        let hit = format!("{} in flight, {} of them writes", hit.requests, hit.writes);
        Ok((hit, remark))
    }

    fn suspend_for(&mut self, process: Process, time: Duration) {
        process.send(Signal::SIGSTOP);
        self.suspended.push(process);
        self.resuming.spawn(async move {
            tokio::time::sleep(time).await;
            process.send(Signal::SIGCONT);
        });
    }

    /// Suspends the broker first, so that it writes nothing while its store is deleted.
    fn wipe_broker(&self, process: Process) -> Result<()> {
        process.send(Signal::SIGSTOP);
        std::fs::remove_dir_all(&self.broker_store).context("deleting the broker's store")?;
        process.send(Signal::SIGKILL);
        Ok(())
    }

    async fn flush(&self) -> redis::RedisResult<()> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(2)));
        let client = redis::Client::open(self.redis_url.as_str())?;
        let mut redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("FLUSHALL").query_async(&mut redis).await
    }
}

/// A server that is suspended or down can't be made to fail.
fn remark_on<E: std::fmt::Display>(outcome: Result<(), E>) -> String {
    outcome.err().map(|_| ", but it is down".to_owned()).unwrap_or_default()
}
