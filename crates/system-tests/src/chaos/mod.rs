//! Chaos: the whole stack under load, while its processes are killed and stopped, Redis and the broker
//! lose what they have, and Stripe misbehaves. Then all comes to rest, and the checker looks.

mod client;
mod door;
mod faults;
mod flights;
mod load;
mod market;
mod processes;
mod quiescence;
mod report;
mod rolling;
mod storm;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

pub use faults::Kind;
pub use processes::{Processes, Target};
pub use report::Report;
pub use rolling::{Rolled, roll};

use crate::Stack;
use crate::checker::{Breach, Promise, Servers, check};
use load::{Crowd, Running};
use storm::Storm;

/// Short, so that many holds run out.
pub const RESERVATION: Duration = Duration::from_secs(8);
/// More than what must be under way at any moment: who was told at once that something is down, waits a little.
const CLIENTS: usize = 32;
/// The settings of a stack that chaos can be let loose on.
pub const SETTINGS: [(&str, &str); 1] = [("RESERVATION_SECONDS", "8")];

pub struct Options {
    pub kills: usize,
    pub seed: u64,
    /// Faults that are left out.
    pub without: Vec<Kind>,
    /// How long the load goes on before the first fault, and after the last one.
    pub calm: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { kills: 0, seed: 0, without: Vec::new(), calm: Duration::from_secs(3) }
    }
}

/// Lets it loose, and answers with what is broken.
pub async fn run(stack: &Stack, options: &Options) -> Result<Report> {
    let Options { kills, seed, without, calm } = options;
    println!("seed {seed}: {kills} kills on {}", stack.url());
    let faults = faults::draw(*seed, *kills, without);
    let mut storm = Storm::new(stack.root().to_owned(), stack.port("redis"), stack.port("stripe"))?;
    let running = Running::start(&stack.url(), *seed, RESERVATION, CLIENTS).await?;
    let load = running.load.clone();
    tokio::time::sleep(*calm).await;
    storm.rage(faults, &load.door.flights).await?;
    tokio::time::sleep(*calm).await;
    println!("Calming down");
    storm.calm_down().await?;
    let crowd = Crowd::of(&load);
    let claims = running.stop().await;
    println!("Waiting until nothing moves any more");
    let servers = connect(stack).await?;
    let moving = quiescence::wait(&servers).await?;
    println!("Checking");
    let struck = storm.struck.clone();
    let world = servers.read(claims, struck.kinds.contains_key(&Kind::Wipe)).await?;
    let mut breaches = check(&world);
    breaches.extend(moving.into_iter().map(|what| Breach { promise: Promise::Rest, what }));
    let (strikes, tally) = (load.door.flights.strikes(), load.door.tally().clone());
    breaches.extend(tally.iter().filter_map(|(kind, outcomes)| outcomes.own_fault(*kind)));
    Ok(Report { seed: *seed, struck, strikes, crowd, tally, world, breaches })
}

/// Connects to the servers of a stack, for the checker.
pub async fn connect(stack: &Stack) -> Result<Servers> {
    let [mongod, redis, stripe] = ["mongod", "redis", "stripe"].map(|name| stack.port(name));
    let nats = stack.nats().await?;
    Servers::connect(mongod, nats, redis, stripe).await.context("connecting to the servers")
}

/// Waits until nothing moves any more, and says what still does.
pub async fn rest(servers: &Servers) -> Result<Vec<String>> {
    quiescence::wait(servers).await
}

/// Writes down what the checker read, and says where that and everything else is.
pub fn leave_for_inspection(report: &Report, root: &Path) -> Result<String> {
    let file = root.join("world.json");
    fs::write(&file, serde_json::to_vec_pretty(&report.world)?)?;
    Ok(format!(
        "All is left for inspection: logs in {root}/log, data in {root}/data, what the checker read in {file}.\n\
         `cargo xtask up --root {root} --port 0` starts it again as it is.",
        root = root.display(),
        file = file.display(),
    ))
}
