//! The load: concurrent clients, each of which sends its next request as soon as the last one has an outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::at_stripe::AtStripe;
use super::client::Client;
use super::gateway_client::GatewayClient;
use super::load::{Load, Plans};
use super::random::rng_of;
use crate::Stack;
use crate::checker::Acknowledged;

/// What exists before the first fault.
const USERS: usize = 24;
const LISTINGS: usize = 12;
/// The interval at which the requests in flight are counted.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// Running clients.
pub struct Running {
    pub load: Arc<Load>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Creates users and listings, and starts so many clients.
    pub async fn start(
        stack: &Stack,
        seed: u64,
        reservation: Duration,
        clients: usize,
    ) -> Result<Running> {
        let gateway = GatewayClient::at(&stack.url())?;
        let at_stripe = AtStripe::new(format!("http://127.0.0.1:{}", stack.port("stripe")))?;
        let load = Arc::new(Load::new(gateway, at_stripe, seed, reservation));
        let mut first = Client::new(&load, 0);
        for _ in 0..USERS {
            first.sign_up().await.context("signing up failed")?;
        }
        for _ in 0..LISTINGS {
            first.list().await.context("listing a ticket failed")?;
        }
        let mut tasks = JoinSet::new();
        for number in 1..=clients {
            tasks.spawn(run(Arc::clone(&load), number));
        }
        tasks.spawn(sample(Arc::clone(&load)));
        Ok(Running { load, tasks })
    }

    /// Waits for the requests in flight, and decides the disputes. Returns what was acknowledged.
    pub async fn stop(self) -> Result<Acknowledged> {
        self.load.stop();
        self.tasks.join_all().await;
        self.load.at_stripe.decide_disputes(&mut rng_of(self.load.seed, 0)).await?;
        Ok(self.load.state().acknowledged.clone())
    }
}

/// How many requests were in flight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Concurrency {
    pub median: usize,
    /// The percentage of samples with at least so many.
    pub share_of_16: usize,
}

impl Concurrency {
    pub fn of(load: &Load) -> Self {
        let mut samples = load.samples().clone();
        samples.sort_unstable();
        let enough = samples.iter().filter(|count| **count >= 16).count();
        Concurrency {
            median: samples.get(samples.len() / 2).copied().unwrap_or_default(),
            share_of_16: 100 * enough / samples.len().max(1),
        }
    }
}

async fn sample(load: Arc<Load>) {
    while load.is_running() {
        let count = load.gateway.in_flight.count();
        load.samples().push(count);
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
}

async fn run(load: Arc<Load>, number: usize) {
    let mut client = Client::new(&load, number);
    let mut plans = Plans::default();
    while load.is_running() {
        let started = Instant::now();
        let outcome = match plans.due() {
            Some(reservation) => client.pay_before_expiry(&reservation).await,
            None => client.next_operation(&mut plans).await,
        };
        // After an immediate failure, such as a 503, a client waits a moment.
        if outcome.is_none() && started.elapsed() < Duration::from_millis(50) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
