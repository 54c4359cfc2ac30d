//! The committed state in memory: the journal, applied.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    idempotency::SavedResponse,
    model::{Charge, ConfirmationToken, PaymentIntent, PaymentMethod, Refund},
};

/// The new state of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    PaymentMethod(PaymentMethod),
    ConfirmationToken(ConfirmationToken),
    PaymentIntent(PaymentIntent),
    Charge(Charge),
    Refund(Refund),
    /// How far the clock is ahead of the system's.
    ClockOffset(u64),
}

/// One line of the journal: the effects of a request together with the response that is saved under its key, so that
/// neither can exist without the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub changes: Vec<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedResponse>,
}

#[derive(Debug, Default)]
pub struct Ledger {
    pub payment_methods: BTreeMap<String, PaymentMethod>,
    pub confirmation_tokens: BTreeMap<String, ConfirmationToken>,
    pub payment_intents: BTreeMap<String, PaymentIntent>,
    pub charges: BTreeMap<String, Charge>,
    pub refunds: BTreeMap<String, Refund>,
    pub clock_offset_ms: u64,
    /// The ids of the objects that change without a request, by the time at which they do.
    deadlines: BTreeSet<(u64, String)>,
    responses: HashMap<String, SavedResponse>,
    /// The keys by age, so that expired ones can be removed.
    keys: VecDeque<(u64, String)>,
}

impl Ledger {
    pub fn apply(&mut self, entry: Entry) {
        for change in entry.changes {
            match change {
                Change::PaymentMethod(it) => drop(self.payment_methods.insert(it.id.clone(), it)),
                Change::ConfirmationToken(it) => {
                    drop(self.confirmation_tokens.insert(it.id.clone(), it));
                }
                Change::PaymentIntent(it) => drop(self.payment_intents.insert(it.id.clone(), it)),
                Change::Charge(it) => {
                    let before = self.charges.get(&it.id).and_then(Charge::capture_before_ms);
                    self.reschedule(&it.id, before, it.capture_before_ms());
                    self.charges.insert(it.id.clone(), it);
                }
                Change::Refund(it) => drop(self.refunds.insert(it.id.clone(), it)),
                Change::ClockOffset(ms) => self.clock_offset_ms = ms,
            }
        }
        if let Some(saved) = entry.saved {
            self.keys.push_back((saved.at_ms, saved.key.clone()));
            self.responses.insert(saved.key.clone(), saved);
        }
    }

    fn reschedule(&mut self, id: &str, before: Option<u64>, after: Option<u64>) {
        if let Some(ms) = before {
            self.deadlines.remove(&(ms, id.to_owned()));
        }
        if let Some(ms) = after {
            self.deadlines.insert((ms, id.to_owned()));
        }
    }

    /// The ids of the objects whose time has come, the earliest first.
    pub fn due(&self, now_ms: u64) -> Vec<String> {
        self.deadlines
            .iter()
            .take_while(|(ms, _)| *ms <= now_ms)
            .map(|(_, id)| id.clone())
            .collect()
    }

    /// The intent whose lock is needed to change this object.
    pub fn intent_of(&self, id: &str) -> Option<String> {
        self.charges.get(id).map(|charge| charge.payment_intent.clone())
    }

    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(ms, _)| *ms)
    }

    /// The response that was saved under this key in the last 24 hours.
    pub fn response(&self, key: &str, now_ms: u64) -> Option<&SavedResponse> {
        self.responses.get(key).filter(|saved| !saved.has_expired(now_ms))
    }

    pub fn remove_expired_responses(&mut self, now_ms: u64) {
        while let Some((at_ms, key)) = self.keys.front() {
            match self.responses.get(key) {
                Some(saved) if saved.at_ms == *at_ms && !saved.has_expired(now_ms) => return,
                Some(saved) if saved.at_ms == *at_ms => drop(self.responses.remove(&key.clone())),
                // The key has been reused since then and is further back in the queue.
                Some(_) | None => {}
            }
            self.keys.pop_front();
        }
    }

    pub fn saved_responses(&self) -> usize {
        self.responses.len()
    }
}
