//! A limit of requests per client, in the service itself: it holds behind any gateway. It protects a process, so it is
//! counted by each one for itself, in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client_ip::ClientIp;

/// How many seconds' requests a client may send at once: a page and what it loads.
const BURST_SECONDS: u32 = 5;
/// How many clients are remembered, at most: some megabytes.
const MAX_CLIENTS: usize = 50_000;

/// The generic cell rate algorithm: for each client, the time at which all of its requests so far would have been due at
/// the permitted rate. It may lie in the future by as much as a burst.
pub(crate) struct RateLimiter {
    interval: Duration,
    burst: Duration,
    due: Mutex<HashMap<IpAddr, Instant>>,
}

impl RateLimiter {
    pub fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        let burst = Duration::from_secs(BURST_SECONDS.into()) - interval;
        RateLimiter { interval, burst, due: Mutex::default() }
    }

    /// Counts a request, or refuses it: the client may send the next one after that long. A refused one isn't counted.
    pub fn admit(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut clients = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            // Whose requests are all due by now is as if it had sent none. If none are, all start afresh: under an attack
            // from that many addresses, a limit per address is of no use anyway.
            clients.retain(|_, due| *due > now);
            if clients.len() >= MAX_CLIENTS {
                clients.clear();
            }
        }
        let due = clients.entry(ClientIp(client).network()).or_insert(now);
        let ahead = due.saturating_duration_since(now);
        if ahead > self.burst {
            return Err(ahead - self.burst);
        }
        *due = now + ahead + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_is_admitted_and_then_the_rate() {
        let limiter = RateLimiter::new(NonZeroU32::new(10).unwrap());
        let (ours, other, now) = (client("203.0.113.7"), client("203.0.113.8"), Instant::now());
        let admitted = |now| (0..1_000).filter(|_| limiter.admit(ours, now).is_ok()).count();
        assert_eq!(admitted(now), 50);
        let wait = limiter.admit(ours, now).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(admitted(now + wait), 1);
        assert_eq!(admitted(now + Duration::from_secs(1) + wait), 10);
        assert_eq!(limiter.admit(other, now), Ok(()));
        assert_eq!(admitted(now + Duration::from_secs(3_600)), 50);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let limiter = RateLimiter::new(NonZeroU32::new(1).unwrap());
        let now = Instant::now();
        let admit = |address: String| limiter.admit(client(&address), now).is_ok();
        assert_eq!((0..100).filter(|host| admit(format!("2001:db8::{host:x}"))).count(), 5);
        assert!(admit("2001:db8:0:1::1".to_owned()));
        assert_eq!((0..100).filter(|_| admit("::ffff:203.0.113.7".to_owned())).count(), 5);
        assert!(!admit("203.0.113.7".to_owned()));
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = RateLimiter::new(NonZeroU32::new(1).unwrap());
        let now = Instant::now();
        for number in 0..200_000_u32 {
            assert_eq!(limiter.admit(IpAddr::V4(number.into()), now), Ok(()));
        }
        assert!(limiter.due.lock().unwrap().len() <= MAX_CLIENTS);
    }
}
