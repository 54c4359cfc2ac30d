//! The committed state in memory: the journal, applied.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    idempotency::SavedResponse,
    model::{Charge, PaymentIntent, PaymentMethod, Refund},
};

/// The new state of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    PaymentMethod(PaymentMethod),
    PaymentIntent(PaymentIntent),
    Charge(Charge),
    Refund(Refund),
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
    pub payment_intents: BTreeMap<String, PaymentIntent>,
    pub charges: BTreeMap<String, Charge>,
    pub refunds: BTreeMap<String, Refund>,
    responses: HashMap<String, SavedResponse>,
    /// The keys by age, so that expired ones can be removed.
    keys: VecDeque<(u64, String)>,
}

impl Ledger {
    pub fn apply(&mut self, entry: Entry) {
        for change in entry.changes {
            match change {
                Change::PaymentMethod(it) => drop(self.payment_methods.insert(it.id.clone(), it)),
                Change::PaymentIntent(it) => drop(self.payment_intents.insert(it.id.clone(), it)),
                Change::Charge(it) => drop(self.charges.insert(it.id.clone(), it)),
                Change::Refund(it) => drop(self.refunds.insert(it.id.clone(), it)),
            }
        }
        if let Some(saved) = entry.saved {
            self.keys.push_back((saved.at_ms, saved.key.clone()));
            self.responses.insert(saved.key.clone(), saved);
        }
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
