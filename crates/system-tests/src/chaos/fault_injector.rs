//! Injects one fault after the other into the running stack.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use mongodb::Database;
use nix::sys::signal::Signal;
use testkit::{retry_every, retry_for};
use tokio::task::{AbortHandle, JoinSet};

use super::faults::{Fault, Kind};
use super::in_flight::InFlight;
use super::refusal::Refusal;
use super::truncation::Truncation;
use crate::Stack;
use crate::processes::{Process, Processes};

/// How long a server may take to restart.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server that isn't suspended or down takes at most to do as it is asked.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long republishing may take, with servers that were killed a moment ago.
const REPUBLISH_TIMEOUT: Duration = Duration::from_secs(60);

pub struct FaultInjector<'a> {
    stack: &'a Stack,
    processes: Processes,
    mongod: Database,
    started: Instant,
    http: reqwest::Client,
    suspended: Vec<Process>,
    resuming: JoinSet<()>,
    /// Ends the present refusal of MongoDB.
    relenting: Option<AbortHandle>,
    /// The services whose streams have lost messages.
    truncated: BTreeSet<&'static str>,
    pub injected: InjectedFaults,
}

/// The faults that were injected so far.
#[derive(Clone, Debug, Default)]
pub struct InjectedFaults {
    pub kills: BTreeMap<String, usize>,
    pub kinds: BTreeMap<Kind, usize>,
}

impl FaultInjector<'_> {
    pub async fn new(stack: &Stack) -> Result<FaultInjector<'_>> {
        Ok(FaultInjector {
            stack,
            processes: stack.processes(),
            mongod: stack.database("admin").await,
            started: Instant::now(),
            http: reqwest::Client::builder().no_proxy().timeout(RESPONSE_TIMEOUT).build()?,
            suspended: Vec::new(),
            resuming: JoinSet::new(),
            relenting: None,
            truncated: BTreeSet::new(),
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

    /// Resumes all suspended processes, clears the faults of MongoDB and Stripe, and republishes what streams have lost.
    pub async fn stop(&mut self) -> Result<()> {
        self.resuming.abort_all();
        for process in self.suspended.drain(..) {
            // It may have been killed, or resumed already.
            process.send(Signal::SIGCONT);
        }
        relent(&self.mongod).await?;
        // It may be restarting.
        self.processes.wait_for("stripe").await?;
        let url = self.stripe_faults();
        let cleared = retry_for(TIMEOUT, async || self.http.delete(&url).send().await).await;
        cleared.context("clearing Stripe's faults")?;
        self.republish().await
    }

    /// As an operator does who learns that a stream has lost messages. What payments publishes is left to it: it republishes
    /// what is unanswered.
    async fn republish(&self) -> Result<()> {
        for service in self.truncated.iter().filter(|service| **service != "payments") {
            println!("Republishing from {service}");
            let republished = async || {
                let output = self.stack.operate(service, &["republish"]).await;
                if output.success { Ok(()) } else { Err(anyhow!("{}", output.stderr)) }
            };
            let republished = retry_every(Duration::from_secs(1), REPUBLISH_TIMEOUT, republished);
            republished.await.with_context(|| format!("{service} republish"))?;
        }
        Ok(())
    }

    /// Injects a fault, and describes what it has hit.
    async fn inject(&mut self, fault: &Fault, in_flight: &InFlight) -> Result<(String, String)> {
        let name = match fault {
            Fault::Kill(name) | Fault::Suspend(name, _) => name,
            Fault::Wipe | Fault::Truncate(_) => "nats",
            Fault::Gateway => "nginx",
            Fault::Flush => "redis",
            Fault::Stripe(_) | Fault::Webhook(_) => "stripe",
            Fault::Refuse(_) => "mongod",
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
            Fault::Wipe => self.wipe_broker(process).await?,
            Fault::Flush => remark = remark_on(self.flush()).await,
            Fault::Refuse(refusal) => remark = self.refuse(refusal).await,
            Fault::Truncate(truncation) => remark = self.truncate(truncation).await,
            Fault::Stripe(fault) | Fault::Webhook(fault) => {
                let armed = self.http.post(self.stripe_faults()).json(fault).send();
                let armed = async { armed.await.and_then(reqwest::Response::error_for_status) };
                remark = remark_on(armed).await;
            }
        }
        *self.injected.kinds.entry(fault.kind()).or_default() += 1;
        let hit = format!("{} in flight, {} of them writes", hit.requests, hit.writes);
        Ok((hit, remark))
    }

    fn stripe_faults(&self) -> String {
        format!("http://127.0.0.1:{}/_faults", self.stack.port("stripe"))
    }

    fn suspend_for(&mut self, process: Process, time: Duration) {
        process.send(Signal::SIGSTOP);
        self.suspended.push(process);
        self.resuming.spawn(async move {
            tokio::time::sleep(time).await;
            process.send(Signal::SIGCONT);
        });
    }

    /// Makes MongoDB refuse, instead of what it refuses at present.
    async fn refuse(&mut self, refusal: &Refusal) -> String {
        if let Some(relenting) = self.relenting.take() {
            relenting.abort();
        }
        let (mongod, time) = (self.mongod.clone(), refusal.time);
        self.relenting = Some(self.resuming.spawn(async move {
            tokio::time::sleep(time).await;
            // If mongod is down for long, it no longer refuses anything once it is back.
            drop(relent(&mongod).await);
        }));
        remark_on(self.mongod.run_command(refusal.command()).into_future()).await
    }

    async fn truncate(&mut self, truncation: &Truncation) -> String {
        // Even if there is no response: it may be done later.
        self.truncated.insert(truncation.stream.publisher());
        remark_on(async { truncation.apply(self.stack.nats().await?).await }).await
    }

    /// The broker isn't restarted before its store is deleted, so that it writes nothing meanwhile.
    async fn wipe_broker(&self, process: Process) -> Result<()> {
        let hold = self.stack.root().join("run/nats.hold");
        std::fs::write(&hold, "").context("preventing the broker's restart")?;
        process.send(Signal::SIGKILL);
        let exited = async || if process.is_running() { Err(()) } else { Ok(()) };
        let exited = retry_for(TIMEOUT, exited).await;
        let wiped = std::fs::remove_dir_all(self.stack.data("nats"));
        std::fs::remove_file(&hold).context("allowing the broker's restart")?;
        exited.map_err(|()| anyhow!("the broker has not exited"))?;
        wiped.context("deleting the broker's store")
    }

    async fn flush(&self) -> redis::RedisResult<()> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let client =
            redis::Client::open(format!("redis://127.0.0.1:{}", self.stack.port("redis")))?;
        let mut redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("FLUSHALL").query_async(&mut redis).await
    }
}

/// Ends MongoDB's refusal. It may have been killed, or suspended.
async fn relent(mongod: &Database) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(200);
    let started = Instant::now();
    loop {
        match mongod.run_command(Refusal::end()).await {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() > TIMEOUT => {
                return Err(error).context("clearing MongoDB's refusals");
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// A server that is suspended or down can't be made to fail.
async fn remark_on<T, E: Display>(fault: impl Future<Output = Result<T, E>>) -> String {
    match tokio::time::timeout(RESPONSE_TIMEOUT, fault).await {
        Ok(Ok(_)) => String::new(),
        Ok(Err(_)) | Err(_) => ", but it is down".to_owned(),
    }
}
