//! Keyset pagination: an opaque cursor, bound to the filters of its query.
//!
//! A cursor names the last item of a page by its sort key and id. It carries a digest of the filters, so that it can't be
//! used with another query, where it would skip items.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::problem::Violation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// How many items a page has when the client doesn't say.
pub const DEFAULT_LIMIT: i64 = 20;
/// The most that a client may ask for.
pub const MAX_LIMIT: i64 = 100;

/// The position after the last item of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// The last item's value of the sort key, in its own unit (cents, or milliseconds).
    pub key: i64,
    /// The last item's id, which breaks ties.
    pub id: String,
    filters: u64,
}

impl Cursor {
    /// The cursor of a page that ends with this item.
    pub fn after(key: i64, id: impl ToString, filters: &impl Serialize) -> Self {
        Cursor { key, id: id.to_string(), filters: digest(filters) }
    }

    /// As the client gets it.
    pub fn encode(&self) -> String {
        // A struct of two numbers and a string has no way to fail here.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor of a query with the same filters; anything else is the client's error.
    pub fn decode(text: &str, filters: &impl Serialize) -> Result<Self> {
        let cursor: Option<Cursor> =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
        cursor.filter(|cursor| cursor.filters == digest(filters)).ok_or_else(|| {
            Error::invalid([Violation::of("cursor", "is invalid or belongs to another query")])
        })
    }
}

/// The same for every replica, release and toolchain.
fn digest(filters: &impl Serialize) -> u64 {
    // Filters are structs and tuples of strings and numbers: they have no way to fail here.
    let json = serde_json::to_vec(filters).unwrap_or_default();
    let hash = Sha256::digest(json);
    // JSON readers may keep only 53 bits of a number.
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)) >> 11
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
