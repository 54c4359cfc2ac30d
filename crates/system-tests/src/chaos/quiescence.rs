//! Waiting until nothing moves any more.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::checker::{Servers, Unrest};

/// Holds run out, messages are delivered again after 30 s, and back-offs end.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(500);
/// How many looks in a row must find the same rest.
const LOOKS: usize = 4;

/// What still moves after a long time; nothing, if all came to rest.
pub async fn wait(servers: &Servers) -> Result<Vec<String>> {
    let begun = Instant::now();
    let mut said = begun;
    let mut looks: Vec<Unrest> = Vec::new();
    loop {
        let unrest = match servers.unrest().await {
            Ok(unrest) => unrest,
            // A server that has just been killed may not be there yet.
            Err(error) => Unrest { moving: vec![format!("{error:#}")], last_sequences: Vec::new() },
        };
        if !unrest.moving.is_empty() || looks.last().is_some_and(|last| *last != unrest) {
            looks.clear();
        }
        if unrest.moving.is_empty() {
            looks.push(unrest);
            if looks.len() >= LOOKS {
                return Ok(Vec::new());
            }
        } else if begun.elapsed() > PATIENCE {
            return Ok(unrest.moving);
        } else if said.elapsed() > Duration::from_secs(5) {
            said = Instant::now();
            println!("           still moving: {}", unrest.moving.join(", "));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
