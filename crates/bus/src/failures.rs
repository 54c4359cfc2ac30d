//! How often each message has failed, and when that makes it a dead letter.
//!
//! Failures are counted, not deliveries: a restart, or a redelivery for another reason, is no fault of the message. And a
//! message is given up only if others succeed: while every message of the consumer fails, the fault lies elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// After so many failures a message goes to the dead letters, if another one has succeeded since the first of them.
pub(crate) const MAX_FAILURES: u32 = 10;
/// A message that hasn't failed for so long was handled by another replica, or is gone.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Only a larger table is searched for those.
const TIDY_ABOVE: usize = 1024;

/// A message: its sequence in the stream, and when it was published (a recreated stream counts from 1 again).
pub(crate) type MessageKey = (u64, i128);

/// The failures of one consumer's messages in this process.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    successes: u64,
    failing: HashMap<MessageKey, Failing>,
}

#[derive(Debug)]
struct Failing {
    failures: u32,
    /// How many messages had succeeded when it first failed.
    successes_before: u64,
    last: Instant,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is retried; it has failed so often.
    Retry(u32),
    /// Others succeed and this one doesn't: it becomes a dead letter.
    GiveUp,
}

impl Failures {
    /// The message was handled.
    pub fn succeeded(&mut self, message: MessageKey) {
        self.successes += 1;
        self.failing.remove(&message);
    }

    /// The message has become a dead letter.
    pub fn forget(&mut self, message: MessageKey) {
        self.failing.remove(&message);
    }

    /// The message has failed, for a reason that may lie in itself.
    pub fn failed(&mut self, message: MessageKey) -> Verdict {
        let now = Instant::now();
        if self.failing.len() > TIDY_ABOVE {
            self.failing.retain(|_, failing| now - failing.last < FORGOTTEN_AFTER);
        }
        let successes = self.successes;
        let failing = self.failing.entry(message).or_insert(Failing {
            failures: 0,
            successes_before: successes,
            last: now,
        });
        failing.failures = failing.failures.saturating_add(1);
        failing.last = now;
        if failing.failures >= MAX_FAILURES && successes > failing.successes_before {
            Verdict::GiveUp
        } else {
            Verdict::Retry(failing.failures)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POISON: MessageKey = (1, 0);
    const OTHER: MessageKey = (2, 0);

    #[test]
    fn while_all_messages_fail_none_is_given_up() {
        let mut failures = Failures::default();
        // What succeeded before the fault began says nothing.
        failures.succeeded((9, 0));
        for times in 1..=1000 {
            assert_eq!(failures.failed(POISON), Verdict::Retry(times));
            assert_eq!(failures.failed(OTHER), Verdict::Retry(times));
        }
    }

    #[test]
    fn a_message_that_fails_while_others_succeed_is_given_up() {
        let mut failures = Failures::default();
        for times in 1..MAX_FAILURES {
            assert_eq!(failures.failed(POISON), Verdict::Retry(times));
            failures.succeeded(OTHER);
        }
        assert_eq!(failures.failed(POISON), Verdict::GiveUp);
        failures.forget(POISON);
        assert_eq!(failures.failed(POISON), Verdict::Retry(1));
    }

    #[test]
    fn a_success_starts_the_count_again() {
        let mut failures = Failures::default();
        failures.failed(POISON);
        failures.succeeded(POISON);
        assert_eq!(failures.failed(POISON), Verdict::Retry(1));
    }
}
