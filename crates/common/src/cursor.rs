//! Paging: an opaque cursor that is bound to the filters it was made under.
//!
//! A cursor names the last item of a page by its sort key and id. It carries a digest of the filters,
//! so that a cursor from one search can't be continued under another, where it would skip items.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Violation};

/// How many items a page has when the client doesn't say.
pub const DEFAULT_LIMIT: i64 = 20;
/// The most that a client may ask for.
pub const MAX_LIMIT: i64 = 100;

/// The place after the last item of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// The last item's value of the sort key, in its own unit (cents, or milliseconds).
    pub key: i64,
    /// The last item's id, which breaks ties.
    pub id: String,
    filters: u64,
}

impl Cursor {
    pub fn after(key: i64, id: impl ToString, filters: &impl Hash) -> Self {
        Cursor { key, id: id.to_string(), filters: digest(filters) }
    }

    pub fn encode(&self) -> String {
        // A struct of two numbers and a string has no way to fail here.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor that was made under the same filters; all else is the client's error.
    pub fn decode(text: &str, filters: &impl Hash) -> Result<Self> {
        let cursor: Option<Cursor> =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
        cursor.filter(|cursor| cursor.filters == digest(filters)).ok_or_else(|| {
            Error::invalid([Violation::of("cursor", "is not one that this search gave")])
        })
    }
}

/// `DefaultHasher::new` has fixed keys, so that replicas agree on it.
fn digest(filters: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    filters.hash(&mut hasher);
    // JSON readers may keep only 53 bits of a number.
    hasher.finish() >> 11
}

/// The page size: [`DEFAULT_LIMIT`] unless the client says, refused outside `1..=MAX_LIMIT`.
pub fn limit(asked: Option<i64>) -> Result<i64> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(Error::invalid([Violation::of("limit", format!("must be from 1 to {MAX_LIMIT}"))]))
    }
}
