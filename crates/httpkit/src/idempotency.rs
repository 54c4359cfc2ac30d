//! `Idempotency-Key`: a request takes effect once, however often it is sent.
//!
//! A client that doesn't know whether a POST has arrived sends it again under the same key and gets the first response.
//! The key is stored, unique per user, in the document that the request writes, by the same write
//! (`store::run_once`): there is no moment at which the request has taken effect and its key isn't known.

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use common::ids::UserId;
use common::problem;
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::auth::{CurrentUser, Verifier};
use crate::error::{Error, Result};
use crate::extract;

/// The header, as an IETF draft names it:
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
const HEADER: &str = "idempotency-key";
pub(crate) const MAX_LENGTH: usize = 255;

/// What makes two requests the same one: the user, the key, and the content.
#[derive(Clone, Debug)]
pub struct RequestIdentity {
    id: String,
    fingerprint: String,
    has_key: bool,
}

impl RequestIdentity {
    /// Of a request that a user sent with a key.
    pub fn with_key(user: UserId, key: &str, method: &Method, path: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(format!("{method} {path}\n"));
        hash.update(body);
        let fingerprint = format!("{:x}", hash.finalize());
        RequestIdentity { id: format!("{user}:{key}"), fingerprint, has_key: true }
    }

    /// Of a request without a key: no other request is the same.
    pub fn unique() -> Self {
        let id = Uuid::now_v7().to_string();
        RequestIdentity { id, fingerprint: String::new(), has_key: false }
    }

    /// Whether the client sent a key.
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// `<user>:<key>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A digest of the method, the path and the body, as they were sent.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// 422: the key was used for another request.
pub fn key_reused() -> Error {
    let detail =
        "This Idempotency-Key was used for another request. Send this one under a new key.";
    Error::refused(&problem::IDEMPOTENCY_KEY_REUSED, detail)
}

/// The body of a signed-in user's POST, and what identifies the request.
pub struct Idempotent<B>(pub RequestIdentity, pub B);

impl<S, B> FromRequest<S> for Idempotent<B>
where
    S: Send + Sync,
    Verifier: FromRef<S>,
    B: FromRequest<S, Rejection = Error>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let Some(key) = parse(request.headers())? else {
            return Ok(Idempotent(
                RequestIdentity::unique(),
                B::from_request(request, state).await?,
            ));
        };
        let (mut parts, body) = request.into_parts();
        let user = <CurrentUser as FromRequestParts<S>>::from_request_parts(&mut parts, state);
        let user = user.await?.id;
        let bytes = extract::bytes(Request::from_parts(parts.clone(), body), state).await?;
        let path = parts.uri.path();
        let identity = RequestIdentity::with_key(user, &key, &parts.method, path, &bytes);
        let request = Request::from_parts(parts, Body::from(bytes));
        Ok(Idempotent(identity, B::from_request(request, state).await?))
    }
}

/// The header's value, if there is one; refuses (400) a malformed key.
fn parse(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let fits = (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if fits && values.next().is_none() => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(Error::refused(
            &problem::MALFORMED,
            "An Idempotency-Key is 1 to 255 visible ASCII characters, without blanks.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let name = http::HeaderName::from_static(HEADER);
        values.iter().map(|value| (name.clone(), value.to_vec().try_into().unwrap())).collect()
    }

    #[test]
    fn a_key_is_one_to_255_visible_characters() {
        let longest = [b'x'; 255];
        for key in [b"1".as_slice(), b"\"8e03978e\"", b"!~", &longest] {
            let parsed = parse(&headers(&[key])).unwrap();
            assert_eq!(parsed.as_deref().map(str::as_bytes), Some(key));
        }
        for key in [b"".as_slice(), b"a b", b"a\tb", "é".as_bytes(), &[b'x'; 256]] {
            assert!(parse(&headers(&[key])).is_err(), "{key:?}");
        }
        assert!(parse(&headers(&[b"1", b"1"])).is_err(), "two of them");
        assert_eq!(parse(&headers(&[])).unwrap(), None);
    }
}
