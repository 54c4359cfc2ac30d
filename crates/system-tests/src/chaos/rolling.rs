//! A new version comes out, as far as anyone can tell: every replica of every service is told to stop and started
//! again, one after the other, under load. No request may fail by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use super::door::Unknown;
use super::load::Running;
use super::processes::Processes;
use super::{RESERVATION, connect, quiescence};
use crate::Stack;
use crate::checker::{Breach, Promise, check};

const SERVICES: [&str; 6] = ["auth", "tickets", "orders", "expiration", "payments", "web"];
/// How many people sell and buy, and how many do nothing but look at pages: few enough for a slow machine to answer
/// all of them in time, as it isn't asked here how much it can bear.
const CLIENTS: usize = 8;
const READERS: usize = 4;
/// So many requests are answered between one restart and the next, so that each is seen.
const BETWEEN: u64 = 100;

/// What came of it.
#[derive(Debug)]
pub struct Rolled {
    pub restarted: usize,
    /// Requests to the API and for pages that were answered.
    pub answered: u64,
    /// Those that weren't as they should have been.
    pub failed: Vec<String>,
    pub breaches: Vec<Breach>,
}

/// Ends every process of a stack of several replicas by this signal, one after the other, and says what that broke.
pub async fn roll(stack: &Stack, replicas: u16, seed: u64, signal: Signal) -> Result<Rolled> {
    let running = Running::start(&stack.url(), seed, RESERVATION, CLIENTS).await?;
    let load = Arc::clone(&running.load);
    let readers = Readers::start(&stack.url())?;
    let answered = || readers.answered.load(Ordering::Relaxed) + load.door.answered();
    let processes = Processes::of(stack.root());
    let mut restarted = 0;
    for service in SERVICES {
        for number in 1..=replicas {
            let before = answered();
            restart(stack, &processes, &format!("{service}-{number}"), signal).await?;
            restarted += 1;
            let seen = async {
                while answered() < before + BETWEEN {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let patience = Duration::from_secs(60);
            tokio::time::timeout(patience, seen).await.context("nobody is answered any more")?;
        }
    }
    let claims = running.stop().await;
    let answered = answered();
    let mut failed = readers.stop().await;
    for (kind, outcomes) in load.door.tally().iter() {
        let unknown = outcomes.unknown.iter().filter(|(why, _)| **why != Unknown::HungUp);
        failed.extend(unknown.map(|(why, count)| format!("{kind:?}: {count} times {why}")));
    }
    let servers = connect(stack).await?;
    let moving = quiescence::wait(&servers).await?;
    let mut breaches = check(&servers.read(claims, false).await?);
    breaches.extend(moving.into_iter().map(|what| Breach { promise: Promise::Rest, what }));
    Ok(Rolled { restarted, answered, failed, breaches })
}

/// Ends a process, and waits until another one is in its place and ready.
async fn restart(stack: &Stack, processes: &Processes, name: &str, signal: Signal) -> Result<()> {
    let old = processes.find(name).await?;
    ensure!(old.send(signal), "{name} is gone already");
    // By nothing but a signal that does nothing.
    let gone = async {
        while old.send(Signal::SIGCONT) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.context(format!("{name} stays"))?;
    processes.find(name).await?;
    stack.is_ready(name).await;
    Ok(())
}

/// People who look at pages, one after the other.
struct Readers {
    stopped: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    readers: JoinSet<Vec<String>>,
}

impl Readers {
    fn start(url: &str) -> Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let (stopped, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            let (http, url) = (http.clone(), url.to_owned());
            let (stopped, answered) = (Arc::clone(&stopped), Arc::clone(&answered));
            readers.spawn(async move {
                let mut failed = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    match http.get(&url).send().await {
                        Ok(page) if page.status() == 200 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(page) => failed.push(format!("a page: {}", page.status())),
                        Err(error) => failed.push(format!("a page: {error:?}")),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                failed
            });
        }
        Ok(Readers { stopped, answered, readers })
    }

    async fn stop(self) -> Vec<String> {
        self.stopped.store(true, Ordering::Relaxed);
        self.readers.join_all().await.concat()
    }
}
