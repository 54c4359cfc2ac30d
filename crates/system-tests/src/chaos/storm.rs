//! The storm: one fault after the other, on the running stack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use super::faults::{Fault, Kind};
use super::flights::Flights;
use super::processes::{Processes, Target};

pub struct Storm {
    pub processes: Processes,
    /// Where NATS keeps its streams.
    pub broker_store: PathBuf,
    pub redis_url: String,
    pub stripe_url: String,
    begun: Instant,
    http: reqwest::Client,
    stopped: Vec<Target>,
    goes_on: JoinSet<()>,
    pub struck: Struck,
}

/// What has gone wrong so far.
#[derive(Clone, Debug, Default)]
pub struct Struck {
    pub kills: BTreeMap<&'static str, usize>,
    pub kinds: BTreeMap<Kind, usize>,
}

impl Storm {
    pub fn new(root: PathBuf, redis: u16, stripe: u16) -> Result<Self> {
        Ok(Storm {
            processes: Processes::of(&root),
            broker_store: root.join("data/nats"),
            redis_url: format!("redis://127.0.0.1:{redis}"),
            stripe_url: format!("http://127.0.0.1:{stripe}"),
            begun: Instant::now(),
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?,
            stopped: Vec::new(),
            goes_on: JoinSet::new(),
            struck: Struck::default(),
        })
    }

    pub async fn rage(&mut self, faults: Vec<(Duration, Fault)>, flights: &Flights) -> Result<()> {
        let count = faults.len();
        for (number, (pause, fault)) in faults.into_iter().enumerate() {
            tokio::time::sleep(pause).await;
            let (hit, remark) = self.strike(&fault, flights).await?;
            let at = self.begun.elapsed().as_secs_f64();
            println!(
                "{at:7.1} s  {:>4}/{count}  {:<72} {hit}{remark}",
                number + 1,
                fault.to_string()
            );
        }
        Ok(())
    }

    /// Lets everything go on that was stopped, and ends what Stripe was told to do.
    pub async fn calm_down(&mut self) -> Result<()> {
        self.goes_on.abort_all();
        for target in self.stopped.drain(..) {
            // It may have been killed, or goes on already.
            target.send(Signal::SIGCONT);
        }
        // It may just be starting.
        self.processes.find("stripe").await?;
        let begun = Instant::now();
        loop {
            let cleared = self.http.delete(format!("{}/_faults", self.stripe_url)).send().await;
            match cleared {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > Duration::from_secs(20) => {
                    return Err(error).context("clearing Stripe's faults");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Does it, and says what it met.
    async fn strike(&mut self, fault: &Fault, flights: &Flights) -> Result<(String, String)> {
        let name = match fault {
            Fault::Kill(name) | Fault::Stop(name, _) => name,
            Fault::Wipe => "nats",
            Fault::Gateway => "nginx",
            Fault::Flush => "redis",
            Fault::Stripe(_) => "stripe",
        };
        let target = self.processes.find(name).await?;
        let strike = flights.strike();
        let mut remark = String::new();
        match fault {
            Fault::Kill(name) => {
                target.send(Signal::SIGKILL);
                *self.struck.kills.entry(name).or_default() += 1;
            }
            Fault::Gateway => drop(target.send(Signal::SIGKILL)),
            Fault::Stop(_, time) => self.stop_for(target, *time),
            Fault::Wipe => self.wipe_broker(target)?,
            Fault::Flush => remark = says(self.flush().await),
            Fault::Stripe(fault) => {
                let armed = self.http.post(format!("{}/_faults", self.stripe_url)).json(fault);
                remark = says(
                    armed.send().await.and_then(reqwest::Response::error_for_status).map(drop),
                );
            }
        }
        *self.struck.kinds.entry(fault.kind()).or_default() += 1;
        let hit = format!("{} under way, {} writes open", strike.requests, strike.open_writes);
        Ok((hit, remark))
    }

    fn stop_for(&mut self, target: Target, time: Duration) {
        target.send(Signal::SIGSTOP);
        self.stopped.push(target);
        self.goes_on.spawn(async move {
            tokio::time::sleep(time).await;
            target.send(Signal::SIGCONT);
        });
    }

    /// Stopped first, so that it writes nothing any more when its store goes.
    fn wipe_broker(&self, target: Target) -> Result<()> {
        target.send(Signal::SIGSTOP);
        std::fs::remove_dir_all(&self.broker_store).context("deleting the broker's store")?;
        target.send(Signal::SIGKILL);
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

/// Whoever is to misbehave may be stopped or dead just then.
fn says<E: std::fmt::Display>(outcome: Result<(), E>) -> String {
    outcome.err().map(|_| ", but it doesn't hear".to_owned()).unwrap_or_default()
}
