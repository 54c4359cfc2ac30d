//! The limits of one process, in bounded memory: while Redis is unavailable.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::gcra::Cell;

/// How many keys are remembered, at most: some megabytes.
const MAX_KEYS: usize = 50_000;

#[derive(Default)]
pub struct LocalLimiter(Mutex<HashMap<String, Instant>>);

impl LocalLimiter {
    /// Counts a use of each cell, or of none: which one refuses it for longest, and for how long.
    pub fn count(&self, cells: &[Cell], now: Instant) -> Result<(), (usize, Duration)> {
        let mut due = self.lock();
        let ahead = |due: &HashMap<String, Instant>, cell: &Cell| {
            due.get(&cell.key).map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
        };
        let refused = cells.iter().enumerate().filter_map(|(index, cell)| {
            cell.rate.wait(ahead(&due, cell)).map(|wait| (index, wait))
        });
        if let Some(longest) = refused.max_by_key(|(_, wait)| *wait) {
            return Err(longest);
        }
        if due.len() >= MAX_KEYS {
            // What is due by now is as if it had never been used. If nothing is, all start afresh.
            due.retain(|_, due| *due > now);
            if due.len() >= MAX_KEYS {
                due.clear();
            }
        }
        for cell in cells {
            let next = now + ahead(&due, cell) + cell.rate.interval;
            due.insert(cell.key.clone(), next);
        }
        Ok(())
    }

    pub fn give_back(&self, cells: &[Cell], now: Instant) {
        let mut due = self.lock();
        for cell in cells {
            if let Some(due) = due.get_mut(&cell.key) {
                *due = due.checked_sub(cell.rate.interval).unwrap_or(now);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::gcra::Rate;

    fn cell(key: &str, burst: u32, seconds: u32) -> Cell {
        Cell { key: key.to_owned(), rate: Rate::new(burst, seconds, Duration::from_secs(1)) }
    }

    #[test]
    fn the_delay_grows_with_the_number_of_uses_and_what_is_refused_is_not_counted() {
        let (limiter, begun) = (LocalLimiter::default(), Instant::now());
        let cells = [cell("a:0", 3, 10), cell("a:1", 5, 60)];
        let mut now = begun;
        let mut waited = Vec::new();
        for _ in 0..7 {
            let wait = match limiter.count(&cells, now) {
                Ok(()) => Duration::ZERO,
                Err((_, wait)) => {
                    assert!(limiter.count(&cells, now).is_err());
                    now += wait;
                    limiter.count(&cells, now).unwrap();
                    wait
                }
            };
            waited.push(wait.as_secs());
        }
        assert_eq!(waited, [0, 0, 0, 10, 10, 40, 60]);
        assert!(limiter.count(&[cell("b:0", 1, 10)], now).is_ok());
    }

    #[test]
    fn what_is_given_back_was_not_used() {
        let (limiter, now) = (LocalLimiter::default(), Instant::now());
        let cells = [cell("a", 2, 10)];
        for _ in 0..10 {
            limiter.count(&cells, now).unwrap();
            limiter.give_back(&cells, now);
        }
        assert_eq!((0..10).filter(|_| limiter.count(&cells, now).is_ok()).count(), 2);
    }

    #[test]
    fn memory_is_bounded() {
        let (limiter, now) = (LocalLimiter::default(), Instant::now());
        for number in 0..2 * MAX_KEYS {
            limiter.count(&[cell(&number.to_string(), 1, 10)], now).unwrap();
        }
        assert!(limiter.lock().len() <= MAX_KEYS);
    }
}
