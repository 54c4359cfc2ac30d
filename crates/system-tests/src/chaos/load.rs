//! The load: many clients at once, each of which does the next thing as soon as the last one is answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::client::Client;
use super::door::HttpState;
use super::market::{Held, Market};
use crate::checker::Claims;

/// Who and what is there before the first fault.
const PEOPLE: usize = 16;
const TICKETS: usize = 12;
/// How often it is looked how much is under way.
const SAMPLE: Duration = Duration::from_millis(100);

/// What all clients share.
pub struct Load {
    pub door: HttpState,
    pub seed: u64,
    pub reservation: Duration,
    market: Mutex<Market>,
    stopped: AtomicBool,
    samples: Mutex<Vec<usize>>,
}

/// Running clients.
pub struct Running {
    pub load: Arc<Load>,
    visits: JoinSet<()>,
}

impl Load {
    pub fn market(&self) -> MutexGuard<'_, Market> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn samples(&self) -> MutexGuard<'_, Vec<usize>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }
}

impl Running {
    /// Opens the market, and lets so many clients in.
    pub async fn start(
        url: &str,
        seed: u64,
        reservation: Duration,
        clients: usize,
    ) -> Result<Running> {
        let load = Arc::new(Load {
            door: HttpState::at(url)?,
            seed,
            reservation,
            market: Mutex::default(),
            stopped: AtomicBool::new(false),
            samples: Mutex::default(),
        });
        let mut first = Client::new(&load, 0);
        for _ in 0..PEOPLE {
            first.sign_up().await.context("nobody can sign up")?;
        }
        for _ in 0..TICKETS {
            first.offer().await.context("nothing can be offered")?;
        }
        let mut visits = JoinSet::new();
        for number in 1..=clients {
            visits.spawn(visit(Arc::clone(&load), number));
        }
        visits.spawn(sample(Arc::clone(&load)));
        Ok(Running { load, visits })
    }

    /// Lets every client end what it is at, and answers with what they were told.
    pub async fn stop(self) -> Claims {
        self.load.stopped.store(true, Ordering::Relaxed);
        self.visits.join_all().await;
        self.load.market().claims.clone()
    }
}

/// How many requests were under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    pub median: usize,
    /// Of all looks, how many found so many or more, in percent.
    pub share_of_16: usize,
}

impl Crowd {
    pub fn of(load: &Load) -> Self {
        let mut samples = load.samples().clone();
        samples.sort_unstable();
        let enough = samples.iter().filter(|count| **count >= 16).count();
        Crowd {
            median: samples.get(samples.len() / 2).copied().unwrap_or_default(),
            share_of_16: 100 * enough / samples.len().max(1),
        }
    }
}

async fn sample(load: Arc<Load>) {
    while load.goes_on() {
        let count = load.door.flights.count();
        load.samples().push(count);
        tokio::time::sleep(SAMPLE).await;
    }
}

async fn visit(load: Arc<Load>, number: usize) {
    let mut client = Client::new(&load, number);
    let mut plans = Plans::default();
    while load.goes_on() {
        let begun = Instant::now();
        let known = match plans.due() {
            Some(held) => client.pay_in_the_last_second(&held).await,
            None => client.do_anything(&mut plans).await,
        };
        // Who was told at once that something is down, asks again a moment later.
        if known.is_none() && begun.elapsed() < Duration::from_millis(50) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a client means to pay just before its hold ends.
#[derive(Default)]
pub struct Plans(Vec<(Instant, Held)>);

impl Plans {
    pub fn add(&mut self, at: Instant, held: Held) {
        self.0.push((at, held));
    }

    fn due(&mut self) -> Option<Held> {
        let now = Instant::now();
        let index = self.0.iter().position(|(at, _)| *at <= now)?;
        Some(self.0.swap_remove(index).1)
    }
}

/// Dice of a client's own, so that the same seed throws the same for it.
pub fn dice(seed: u64, number: usize) -> StdRng {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut own = StdRng::seed_from_u64(dice.random::<u64>().wrapping_add(number as u64));
    StdRng::from_rng(&mut own)
}
