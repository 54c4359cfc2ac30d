//! Waiting until the whole stack is idle.

use std::time::{Duration, Instant};

use testkit::retry_every;

use crate::checker::{PendingWork, Servers};

/// Reservations expire, messages are redelivered after 30 s, and back-offs end.
const TIMEOUT: Duration = Duration::from_secs(150);
const INTERVAL: Duration = Duration::from_millis(500);
/// How many consecutive observations must be equal, and without pending work.
const OBSERVATIONS: usize = 4;
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// What is still pending after the timeout; nothing if the stack is idle.
pub async fn wait(servers: &Servers) -> Vec<String> {
    let mut reported = Instant::now();
    let mut observations: Vec<PendingWork> = Vec::new();
    let idle = retry_every(INTERVAL, TIMEOUT, async || {
        let work = match servers.pending_work().await {
            Ok(work) => work,
            // A server that was just killed may not be back yet.
            Err(error) => {
                PendingWork { pending: vec![format!("{error:#}")], last_sequences: Vec::new() }
            }
        };
        if !work.pending.is_empty() {
            observations.clear();
            if reported.elapsed() > REPORT_INTERVAL {
                reported = Instant::now();
                println!("           still pending: {}", work.pending.join(", "));
            }
            return Err(work.pending);
        }
        if observations.last().is_some_and(|last| *last != work) {
            observations.clear();
        }
        observations.push(work);
        let is_idle = observations.len() >= OBSERVATIONS;
        is_idle.then_some(()).ok_or_else(|| vec!["the streams were not idle for long".to_owned()])
    });
    idle.await.err().unwrap_or_default()
}
