//! Idempotency keys: <https://docs.stripe.com/api/idempotent_requests>.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::errors::ApiError;

const RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// The first response under a key: a success, a decline or a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedResponse {
    pub key: String,
    pub path: String,
    /// A hash of the parameters.
    pub fingerprint: String,
    pub at_ms: u64,
    pub request_id: String,
    pub status: u16,
    pub body: String,
}

impl SavedResponse {
    pub fn has_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.at_ms.saturating_add(RETENTION_MS)
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The keys whose first request is still in progress.
#[derive(Debug, Default, Clone)]
pub struct InFlight(Arc<Mutex<HashSet<String>>>);

/// Holds a key until it is dropped.
#[derive(Debug)]
pub struct KeyGuard {
    in_flight: InFlight,
    key: String,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[derive(Debug)]
pub enum KeyClaim {
    /// The first request under this key, which is in use until the guard is dropped.
    New { _guard: KeyGuard },
    /// A repeat: this is the response of the first request.
    Replay(SavedResponse),
}

impl InFlight {
    /// Decides whether a request under `key` is new or a repeat. The ledger is read *after* the key is taken: a request
    /// that finishes in between has saved its response by then.
    pub fn begin(
        &self,
        key: &str,
        path: &str,
        fingerprint: &str,
        saved: impl FnOnce() -> Option<SavedResponse>,
    ) -> Result<KeyClaim, ApiError> {
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned()) {
            return Err(ApiError::key_in_use(key));
        }
        let guard = KeyGuard { in_flight: self.clone(), key: key.to_owned() };
        match saved() {
            None => Ok(KeyClaim::New { _guard: guard }),
            Some(saved) if saved.path != path => {
                Err(ApiError::key_reused_for_other_endpoint(key, path, &saved.path))
            }
            Some(saved) if saved.fingerprint != fingerprint => {
                Err(ApiError::key_reused_with_other_parameters(key))
            }
            Some(saved) => Ok(KeyClaim::Replay(saved)),
        }
    }
}

/// The header's value. An empty one counts as absent.
pub fn checked(key: Option<&str>) -> Result<Option<String>, ApiError> {
    match key.map(|key| (key, key.chars().count())) {
        None | Some((_, 0)) => Ok(None),
        Some((_, length)) if length > 255 => Err(ApiError::key_too_long(length)),
        Some((key, _)) => Ok(Some(key.to_owned())),
    }
}
