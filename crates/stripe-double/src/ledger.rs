//! The committed state in memory: the journal, applied.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    idempotency::SavedResponse,
    model::{
        Charge, ConfirmationToken, Delivery, Dispute, Event, PaymentIntent, PaymentMethod, Refund,
        WebhookEndpoint,
    },
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
    Dispute(Dispute),
    WebhookEndpoint(WebhookEndpoint),
    /// The id of an endpoint.
    DeletedWebhookEndpoint(String),
    Event(Event),
    Delivery(Delivery),
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
    pub disputes: BTreeMap<String, Dispute>,
    pub webhook_endpoints: BTreeMap<String, WebhookEndpoint>,
    pub events: BTreeMap<String, Event>,
    pub deliveries: BTreeMap<String, Delivery>,
    /// The deliveries whose next attempt is due at a time.
    pending: BTreeSet<(u64, String)>,
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
                    let before = self.charges.get(&it.id).and_then(Charge::due_ms);
                    self.reschedule(&it.id, before, it.due_ms());
                    self.charges.insert(it.id.clone(), it);
                }
                Change::Refund(it) => {
                    let due = |refund: &Refund| refund.due().map(|(ms, _)| ms);
                    let before = self.refunds.get(&it.id).and_then(due);
                    self.reschedule(&it.id, before, due(&it));
                    self.refunds.insert(it.id.clone(), it);
                }
                Change::Dispute(it) => drop(self.disputes.insert(it.id.clone(), it)),
                Change::WebhookEndpoint(it) => {
                    drop(self.webhook_endpoints.insert(it.id.clone(), it));
                }
                Change::DeletedWebhookEndpoint(id) => drop(self.webhook_endpoints.remove(&id)),
                Change::Event(it) => drop(self.events.insert(it.id.clone(), it)),
                Change::Delivery(it) => {
                    if let Some(ms) = self.deliveries.get(&it.id).and_then(Delivery::due_ms) {
                        self.pending.remove(&(ms, it.id.clone()));
                    }
                    if let Some(ms) = it.due_ms() {
                        self.pending.insert((ms, it.id.clone()));
                    }
                    self.deliveries.insert(it.id.clone(), it);
                }
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
        let of_charge = || self.charges.get(id).map(|charge| &charge.payment_intent);
        let of_refund = || self.refunds.get(id).map(|refund| &refund.payment_intent);
        let of_dispute = || self.disputes.get(id).map(|dispute| &dispute.payment_intent);
        of_charge().or_else(of_refund).or_else(of_dispute).cloned()
    }

    /// The pending deliveries, those that are due first at the front.
    pub fn pending_deliveries(&self) -> impl Iterator<Item = (u64, &Delivery)> {
        self.pending.iter().filter_map(|(ms, id)| Some((*ms, self.deliveries.get(id)?)))
    }

    /// To how many endpoints an event still has to be delivered.
    pub fn pending_webhooks(&self, event: &str) -> usize {
        self.pending_deliveries().filter(|(_, delivery)| delivery.event == event).count()
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
