//! `Idempotency-Key`: what a request asks for is done once, however often the request is sent.
//!
//! Who isn't sure whether a POST has arrived sends it again under the same key and gets the first answer
//! again. The key stands, unique per user, on the document that the work writes, and gets there by the
//! same write (`bus::requests`): there is no moment at which the work is done and the key isn't known.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::auth::{CurrentUser, Verifier};
use crate::clock::Time;
use crate::error::{Error, Result, problems};
use crate::extract;
use crate::ids::UserId;
use crate::server::created;

/// The header, as an IETF draft names it:
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
const HEADER: &str = "idempotency-key";
/// For how long a request is remembered.
pub const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST: usize = 255;

/// What tells whether two requests are the same one: whose it is, its key, and what it asks for.
#[derive(Clone, Debug)]
pub struct Key {
    id: String,
    fingerprint: String,
    given: bool,
}

/// A request as the document that it wrote remembers it, with what is needed to answer it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered<A> {
    /// `<user>:<key>`; unique in its collection.
    pub id: String,
    /// Of the method, the path and the body, as they were sent.
    pub fingerprint: String,
    /// When the work was done.
    pub at: Time,
    pub answer: A,
}

impl<A> Remembered<A> {
    /// Whether it still counts; after a day its key may be used anew.
    pub fn is_fresh(&self, now: Time) -> bool {
        now < self.at + MEMORY
    }
}

impl Key {
    /// The key that a user has sent with a request.
    pub fn given(user: UserId, key: &str, method: &Method, path: &str, body: &[u8]) -> Key {
        let mut hash = Sha256::new();
        hash.update(format!("{method} {path}\n"));
        hash.update(body);
        let fingerprint = format!("{:x}", hash.finalize());
        Key { id: format!("{user}:{key}"), fingerprint, given: true }
    }

    /// For a request that came without one: nobody can send it again.
    pub fn none() -> Key {
        let id = Uuid::now_v7().to_string();
        Key { id, fingerprint: String::new(), given: false }
    }

    /// Whether the client has named one.
    pub fn is_given(&self) -> bool {
        self.given
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What is to stand on the document that the request writes.
    pub fn remember<A>(&self, answer: A, at: Time) -> Remembered<A> {
        let (id, fingerprint) = (self.id.clone(), self.fingerprint.clone());
        Remembered { id, fingerprint, at, answer }
    }

    /// This very request among those that a document remembers. Refuses (422) if the key was used for
    /// another one.
    pub fn among<'a, A>(
        &self,
        requests: &'a [Remembered<A>],
        now: Time,
    ) -> Result<Option<&'a Remembered<A>>> {
        let mut fresh = requests.iter().filter(|request| request.is_fresh(now));
        match fresh.find(|request| request.id == self.id) {
            Some(other) if other.fingerprint != self.fingerprint => Err(reused()),
            found => Ok(found),
        }
    }
}

/// The key names another request than this one.
pub(crate) fn reused() -> Error {
    let detail =
        "This Idempotency-Key was used for another request. Send this one under a new key.";
    Error::refused(&problems::IDEMPOTENCY_KEY_REUSED, detail)
}

/// The body of a signed-in user's POST, and the key that it came with.
pub struct Keyed<B>(pub Key, pub B);

impl<S, B> FromRequest<S> for Keyed<B>
where
    S: Send + Sync,
    Verifier: FromRef<S>,
    B: FromRequest<S, Rejection = Error>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let Some(key) = parse(request.headers())? else {
            return Ok(Keyed(Key::none(), B::from_request(request, state).await?));
        };
        let (mut parts, body) = request.into_parts();
        let user = <CurrentUser as FromRequestParts<S>>::from_request_parts(&mut parts, state);
        let user = user.await?.id;
        let bytes = extract::bytes(Request::from_parts(parts.clone(), body), state).await?;
        let key = Key::given(user, &key, &parts.method, parts.uri.path(), &bytes);
        let request = Request::from_parts(parts, Body::from(bytes));
        Ok(Keyed(key, B::from_request(request, state).await?))
    }
}

/// The header's value, if there is one; refuses (400) what can't be a key.
fn parse(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let fits = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if fits && values.next().is_none() => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(Error::refused(
            &problems::MALFORMED,
            "An Idempotency-Key is 1 to 255 visible ASCII characters, without blanks.",
        )),
    }
}

/// 201, as it was sent, so that it can be sent again when the thing has long moved on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    location: String,
    version: i64,
    /// JSON.
    body: String,
}

impl Created {
    pub fn new(location: String, version: i64, view: &impl Serialize) -> Result<Created> {
        let body = serde_json::to_string(view).map_err(|error| Error::Internal(error.into()))?;
        Ok(Created { location, version, body })
    }
}

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        let body = ([(header::CONTENT_TYPE, "application/json")], self.body);
        created(&self.location, self.version, body)
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

    #[test]
    fn a_request_is_known_again_for_a_day_and_another_under_its_key_is_refused() {
        let (start, user) = (Time::from_millis(1_700_000_000_000), UserId::new(Time::NEVER));
        let key = |user, key, path, body| Key::given(user, key, &Method::POST, path, body);
        let first = key(user, "1", "/api/orders", b"{}");
        let known = [first.remember((), start)];
        let day_later = start + MEMORY;
        let last_moment = day_later - Duration::from_millis(1);
        assert_eq!(first.among(&known, last_moment).unwrap(), Some(&known[0]));
        assert_eq!(first.among(&known, day_later).unwrap(), None);
        for other in [key(user, "1", "/api/tickets", b"{}"), key(user, "1", "/api/orders", b"{ }")]
        {
            assert!(other.among(&known, start).is_err());
            assert_eq!(other.among(&known, day_later).unwrap(), None);
        }
        let someone = UserId::new(Time::NEVER);
        for other in [key(someone, "1", "/api/orders", b"{}"), key(user, "2", "/api/orders", b"{}")]
        {
            assert_eq!(other.among(&known, start).unwrap(), None);
        }
    }
}
