//! Two kinds of load: a closed one, which finds out how much is answered; and an open one, whose requests arrive by a
//! schedule, whether or not the earlier ones were answered. The latency of the latter counts from the scheduled arrival:
//! else a server that stops for a second would be asked nothing meanwhile, and be measured as fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

/// How many were answered in how long.
pub struct Throughput {
    pub answered: usize,
    pub took: Duration,
}

impl Throughput {
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

/// Keeps so many requests in flight for this time. A request is given its number; one that fails ends the benchmark.
pub async fn closed<F>(
    in_flight: usize,
    duration: Duration,
    request: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Result<Throughput>
where
    F: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        let (request, next) = (request.clone(), next.clone());
        workers.spawn(async move {
            let mut answered = 0;
            while begun.elapsed() < duration {
                request(next.fetch_add(1, Ordering::Relaxed)).await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(worker) = workers.join_next().await {
        answered += worker??;
    }
    Ok(Throughput { answered, took: begun.elapsed() })
}

/// Makes so many requests, some of them in flight at once, and returns what each of them returned, in no order.
pub async fn each<T, F>(
    in_flight: usize,
    count: usize,
    request: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        let (request, next) = (request.clone(), next.clone());
        workers.spawn(async move {
            let mut outcomes = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(outcomes);
                }
                outcomes.push(request(number).await?);
            }
        });
    }
    let mut outcomes = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        outcomes.extend(worker??);
    }
    Ok(outcomes)
}

/// So many requests a second for this time; their latencies.
pub async fn open<F>(
    per_second: f64,
    duration: Duration,
    request: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Result<Latencies>
where
    F: Future<Output = Result<()>> + Send,
{
    let begun = tokio::time::Instant::now();
    let mut requests = JoinSet::new();
    let count = (per_second * duration.as_secs_f64()) as usize;
    for number in 0..count {
        let arrival = begun + Duration::from_secs_f64(number as f64 / per_second);
        tokio::time::sleep_until(arrival).await;
        let request = request.clone();
        requests.spawn(async move {
            request(number).await?;
            anyhow::Ok(arrival.elapsed())
        });
    }
    let mut latencies = Vec::with_capacity(count);
    while let Some(latency) = requests.join_next().await {
        latencies.push(latency??);
    }
    Ok(Latencies::of(latencies))
}

/// Sorted.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn of(mut latencies: Vec<Duration>) -> Latencies {
        latencies.sort();
        Latencies(latencies)
    }

    /// The latency that so many per cent don't exceed; zero if there is none.
    pub fn percentile(&self, percent: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = (percent / 100.0 * last as f64).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }
}
