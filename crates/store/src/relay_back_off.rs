//! The relay's back-off, per document: one that can't be published doesn't delay the others, and isn't tried all the time.

use std::collections::HashMap;
use std::time::Duration;

use common::back_off::back_off;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause while nothing at all can be published.
const OUTAGE_PAUSE: Duration = Duration::from_secs(2);
/// More documents than these don't fail by themselves: they are all tried again.
const MAX_DOCUMENTS: usize = 1024;

/// The documents whose events could not be published lately, by id.
#[derive(Debug, Default)]
pub(crate) struct RelayBackOff {
    failing: HashMap<String, Failing>,
    /// Nothing was published since the last failure: the fault may lie with the broker.
    is_outage: bool,
}

#[derive(Debug)]
struct Failing {
    failures: u32,
    not_before: Instant,
}

impl RelayBackOff {
    /// The documents that failed the last time.
    pub fn failing(&self) -> Vec<&str> {
        self.failing.keys().map(String::as_str).collect()
    }

    /// The documents that aren't tried at present.
    pub fn paused(&self) -> Vec<&str> {
        let now = Instant::now();
        let failing = self.failing.iter().filter(|(_, failing)| failing.not_before > now);
        failing.map(|(id, _)| id.as_str()).collect()
    }

    /// A document's events were published. After an outage all others are tried again at once.
    pub fn published(&mut self, id: &str) {
        if std::mem::take(&mut self.is_outage) {
            self.failing.clear();
        } else {
            self.failing.remove(id);
        }
    }

    /// A document's events were not published.
    pub fn failed(&mut self, id: &str) {
        if self.failing.len() >= MAX_DOCUMENTS && !self.failing.contains_key(id) {
            self.failing.clear();
        }
        let now = Instant::now();
        let failing =
            self.failing.entry(id.to_owned()).or_insert(Failing { failures: 0, not_before: now });
        failing.failures += 1;
        failing.not_before = now + back_off(failing.failures, FIRST_PAUSE, LONGEST_PAUSE);
    }

    /// Whether nothing was published since the last failure.
    pub fn is_outage(&self) -> bool {
        self.is_outage
    }

    /// Nothing at all was published, and something should have been: the pauses stay short until it is clear whose fault
    /// that is.
    pub fn outage(&mut self) {
        self.is_outage = true;
        let latest = Instant::now() + OUTAGE_PAUSE;
        for failing in self.failing.values_mut() {
            failing.not_before = failing.not_before.min(latest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failing_document_pauses_longer_each_time_and_the_others_dont() {
        let mut back_off = RelayBackOff::default();
        for _ in 0..10 {
            back_off.failed("poison");
            back_off.published("other");
            assert_eq!(back_off.paused(), ["poison"]);
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(back_off.paused(), ["poison"]);
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(back_off.paused().is_empty());
    }

    #[test]
    fn after_an_outage_everything_is_tried_again_at_once() {
        let mut back_off = RelayBackOff::default();
        for id in ["a", "b", "c"] {
            back_off.failed(id);
        }
        back_off.outage();
        back_off.published("d");
        assert!(back_off.paused().is_empty());
    }
}
