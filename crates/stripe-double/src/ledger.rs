//! All that is kept, in memory: what the journal says, applied.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    idempotency::Saved,
    model::{Charge, PaymentIntent, PaymentMethod, Refund},
};

/// A thing as it has become.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    PaymentMethod(PaymentMethod),
    PaymentIntent(PaymentIntent),
    Charge(Charge),
    Refund(Refund),
}

/// One line of the journal: what a request did together with the answer that is saved under its key, so that there is
/// never the one without the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub changes: Vec<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Saved>,
}

#[derive(Debug, Default)]
pub struct Ledger {
    pub payment_methods: BTreeMap<String, PaymentMethod>,
    pub payment_intents: BTreeMap<String, PaymentIntent>,
    pub charges: BTreeMap<String, Charge>,
    pub refunds: BTreeMap<String, Refund>,
    answers: HashMap<String, Saved>,
    /// The keys by age, so that the old ones are forgotten.
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
            self.answers.insert(saved.key.clone(), saved);
        }
    }

    /// The answer that was saved under this key in the last 24 hours.
    pub fn answer(&self, key: &str, now_ms: u64) -> Option<&Saved> {
        self.answers.get(key).filter(|saved| !saved.has_expired(now_ms))
    }

    pub fn forget_expired_answers(&mut self, now_ms: u64) {
        while let Some((at_ms, key)) = self.keys.front() {
            match self.answers.get(key) {
                Some(saved) if saved.at_ms == *at_ms && !saved.has_expired(now_ms) => return,
                Some(saved) if saved.at_ms == *at_ms => drop(self.answers.remove(&key.clone())),
                // The key was used anew since, and stands further back in the queue.
                Some(_) | None => {}
            }
            self.keys.pop_front();
        }
    }

    pub fn saved_answers(&self) -> usize {
        self.answers.len()
    }
}
