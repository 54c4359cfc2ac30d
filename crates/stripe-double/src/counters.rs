//! Requests per endpoint and response status.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<String, BTreeMap<u16, u64>>>);

impl Counters {
    /// `endpoint` is `POST /v1/payment_intents/{id}/confirm`.
    pub fn count(&self, endpoint: String, status: u16) {
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(endpoint)
            .or_default()
            .entry(status)
            .or_default() += 1;
    }

    pub fn to_json(&self) -> Value {
        json!(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
