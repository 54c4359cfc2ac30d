//! Fault injection: the whole stack under load, while its processes are killed and suspended, MongoDB refuses, Redis and the
//! broker lose their data, and Stripe fails. Once the stack is idle, the checker verifies the invariants.

mod at_stripe;
mod cards;
mod client;
mod fault_injector;
mod faults;
mod gateway_client;
mod in_flight;
mod load;
mod quiescence;
mod random;
mod refusal;
mod report;
mod rolling_restart;
mod running;
mod shared_state;
mod truncation;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

pub use faults::{Kind, targets};
pub use report::Report;
pub use rolling_restart::{RollingRestart, restart, rolling_restart, rolling_upgrade};

use crate::Stack;
use crate::checker::{Invariant, Servers, Violation, check};
use fault_injector::FaultInjector;
use running::{Concurrency, Running};

/// Short, so that many reservations expire.
pub const RESERVATION: Duration = Duration::from_secs(8);
/// More than must be in flight at any time: after an immediate failure, a client waits a moment.
const CLIENTS: usize = 32;
/// The settings of a stack for fault injection.
pub const SETTINGS: [(&str, &str); 2] =
    [("RESERVATION_SECONDS", "8"), ("DECLINES_PER_DAY", "1000000")];

pub struct Options {
    pub kills: usize,
    pub seed: u64,
    /// The kinds of faults that are left out.
    pub without: Vec<Kind>,
    /// How long the load runs before the first fault, and after the last one.
    pub margin: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { kills: 0, seed: 0, without: Vec::new(), margin: Duration::from_secs(3) }
    }
}

/// Runs the load, injects the faults, and checks the invariants.
pub async fn run(stack: &Stack, options: &Options) -> Result<Report> {
    let Options { kills, seed, without, margin } = options;
    println!("seed {seed}: {kills} kills on {}", stack.url());
    let faults = faults::draw(*seed, *kills, without);
    let mut injector = FaultInjector::new(stack).await?;
    let running = Running::start(stack, *seed, RESERVATION, CLIENTS).await?;
    let load = running.load.clone();
    tokio::time::sleep(*margin).await;
    injector.run(faults, &load.gateway.in_flight).await?;
    tokio::time::sleep(*margin).await;
    println!("Clearing all faults");
    injector.stop().await?;
    let concurrency = Concurrency::of(&load);
    let acknowledged = running.stop().await?;
    println!("Waiting until the stack is idle");
    let servers = connect(stack).await?;
    let pending = quiescence::wait(&servers).await;
    println!("Checking");
    let injected = injector.injected.clone();
    let events_were_lost =
        [Kind::Wipe, Kind::Truncate].iter().any(|kind| injected.kinds.contains_key(kind));
    let snapshot = servers.read(acknowledged, events_were_lost).await?;
    let mut violations = check(&snapshot);
    violations.extend(
        pending.into_iter().map(|what| Violation { invariant: Invariant::Quiescence, what }),
    );
    let (hits, tally) = (load.gateway.in_flight.hits(), load.gateway.tally().clone());
    violations.extend(
        tally.iter().filter_map(|(operation, outcomes)| outcomes.server_errors(*operation)),
    );
    let acts = load.at_stripe.acts();
    Ok(Report { seed: *seed, injected, hits, concurrency, tally, acts, snapshot, violations })
}

/// Connects to the servers of a stack, for the checker.
pub async fn connect(stack: &Stack) -> Result<Servers> {
    let names = ["mongod", "redis", "stripe", "mail"];
    let [mongod, redis, stripe, mail] = names.map(|name| stack.port(name));
    let nats = stack.nats().await?;
    Servers::connect(mongod, nats, redis, stripe, mail).await.context("connecting to the servers")
}

/// Waits until the stack is idle, and returns what is still pending after a timeout.
pub async fn wait_until_idle(servers: &Servers) -> Vec<String> {
    quiescence::wait(servers).await
}

/// Saves what the checker read, and describes where that and everything else is.
pub fn save_for_inspection(report: &Report, root: &Path) -> Result<String> {
    let file = root.join("snapshot.json");
    fs::write(&file, serde_json::to_vec_pretty(&report.snapshot)?)?;
    Ok(format!(
        "Everything is kept for inspection: logs in {root}/log, data in {root}/data, what the checker read in {file}.\n\
         `cargo xtask up --root {root} --port 0` restarts the stack with its data.",
        root = root.display(),
        file = file.display(),
    ))
}
