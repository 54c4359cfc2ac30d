//! Conditional requests: entity tags that carry a version (RFC 9110 §8.8.3 and §13).

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::problem;
use headers::{ETag, HeaderMapExt};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// At most so many versions of a resource count as the same.
const EQUIVALENT: usize = 10_000;

/// The entity tag of a version: `"7"`.
pub fn etag(version: i64) -> Option<ETag> {
    format!("\"{version}\"").parse().ok()
}

/// The entity tag of a body without a version: the same for the same bytes.
pub fn etag_of(body: &[u8]) -> Option<ETag> {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(body)[..15]);
    format!("\"{digest}\"").parse().ok()
}

/// The version that the client has seen (`If-Match: "7"`), if it named one.
pub struct IfMatch(Option<headers::IfMatch>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let header = parts.headers.typed_try_get::<headers::IfMatch>();
        header.map(IfMatch).map_err(|_| {
            let detail = "If-Match must be * or entity tags, such as \"7\".";
            Error::refused(&problem::MALFORMED, detail)
        })
    }
}

/// The tags that the client has a copy of (`If-None-Match: "7"`). A malformed header names none.
pub struct IfNoneMatch(Option<headers::IfNoneMatch>);

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(IfNoneMatch(parts.headers.typed_try_get().unwrap_or_default()))
    }
}

impl IfNoneMatch {
    /// Whether the client has a copy with this tag (RFC 9110 §13.1.2).
    pub fn includes(&self, current: &ETag) -> bool {
        self.0.as_ref().is_some_and(|seen| !seen.precondition_passes(current))
    }
}

impl IfMatch {
    /// Refuses (412) unless the client named no version, `*`, or this one (RFC 9110 §13.1.1).
    pub fn check(&self, version: i64) -> Result<()> {
        self.check_since(version, version)
    }

    /// As [`IfMatch::check`], for a resource whose newest versions differ in nothing that a client can change: any since
    /// the last such change will do.
    pub fn check_since(&self, changed: i64, current: i64) -> Result<()> {
        let matches = |wanted: &headers::IfMatch| {
            let newest = (changed..=current).rev().take(EQUIVALENT);
            newest.filter_map(etag).any(|version| wanted.precondition_passes(&version))
        };
        if self.0.as_ref().is_none_or(matches) {
            return Ok(());
        }
        let detail = format!("The current version is {current}. Fetch it before you change it.");
        Err(Error::refused(&problem::PRECONDITION_FAILED, detail))
    }
}
