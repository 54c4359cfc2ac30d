//! Idempotency keys: <https://docs.stripe.com/api/idempotent_requests>.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{errors::ApiError, ledger::Ledger};

const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// The first answer under a key, be it a success, a decline or a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Saved {
    pub key: String,
    pub path: String,
    /// Of the parameters.
    pub fingerprint: String,
    pub at_ms: u64,
    pub request_id: String,
    pub status: u16,
    pub body: String,
}

impl Saved {
    pub fn has_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.at_ms.saturating_add(KEPT_MS)
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The keys whose first request still runs.
#[derive(Debug, Default, Clone)]
pub struct InFlight(Arc<Mutex<HashSet<String>>>);

/// Holds a key until it is dropped.
#[derive(Debug)]
pub struct Running {
    in_flight: InFlight,
    key: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[derive(Debug)]
pub enum Turn {
    /// The key is free again when this is dropped.
    First {
        _running: Running,
    },
    Again(Saved),
}

impl InFlight {
    /// Decides what a request under `key` is. The ledger is read *after* the key is taken: a request that ends in between
    /// has by then saved its answer.
    pub fn begin(
        &self,
        key: &str,
        path: &str,
        fingerprint: &str,
        answer: impl FnOnce() -> Option<Saved>,
    ) -> Result<Turn, ApiError> {
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned()) {
            return Err(ApiError::key_in_use(key));
        }
        let running = Running { in_flight: self.clone(), key: key.to_owned() };
        match answer() {
            None => Ok(Turn::First { _running: running }),
            Some(saved) if saved.path != path => {
                Err(ApiError::key_of_other_endpoint(key, path, &saved.path))
            }
            Some(saved) if saved.fingerprint != fingerprint => {
                Err(ApiError::key_of_other_parameters(key))
            }
            Some(saved) => Ok(Turn::Again(saved)),
        }
    }
}

/// The header's value, if there is one to speak of.
pub fn checked(key: Option<&str>) -> Result<Option<String>, ApiError> {
    match key.map(|key| (key, key.chars().count())) {
        None | Some((_, 0)) => Ok(None),
        Some((_, length)) if length > 255 => Err(ApiError::key_too_long(length)),
        Some((key, _)) => Ok(Some(key.to_owned())),
    }
}

/// What the ledger holds under a key, copied out of its lock.
pub fn saved_in(ledger: &Ledger, key: &str, now_ms: u64) -> Option<Saved> {
    ledger.answer(key, now_ms).cloned()
}
