//! Requests as the documents that they wrote store them, so that a repeated one gets the same response
//! (`Idempotency-Key`).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bson::doc;
use common::Time;
use http::header;
use httpkit::idempotency::RequestIdentity;
use httpkit::response::created;
use mongodb::IndexModel;
use serde::{Deserialize, Serialize};

use crate::error::{KeyReusedError, REQUESTS};
use crate::mongo;

/// For how long a request is stored.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn index() -> IndexModel {
    let only = doc! { "requests.id": { "$exists": true } };
    mongo::unique_index(REQUESTS, doc! { "requests.id": 1 }, Some(only))
}

/// A request, with what is needed to respond to it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRequest<R> {
    /// `<user>:<key>`; unique in its collection.
    pub id: String,
    /// Of the method, the path and the body, as they were sent.
    pub fingerprint: String,
    /// When it took effect.
    pub at: Time,
    /// The response, or what it is made of.
    #[serde(rename = "answer")]
    pub response: R,
}

impl<R> StoredRequest<R> {
    /// The request that took effect at that time.
    pub fn of(request: &RequestIdentity, response: R, at: Time) -> Self {
        let (id, fingerprint) = (request.id().to_owned(), request.fingerprint().to_owned());
        StoredRequest { id, fingerprint, at, response }
    }

    /// Whether it still counts; after [`RETENTION`] its key may be used for another request.
    pub fn is_fresh(&self, now: Time) -> bool {
        now < self.at + RETENTION
    }

    /// This very request among those that a document stores. Refuses a key that was used for another one.
    pub fn find_in<'a>(
        stored: &'a [StoredRequest<R>],
        request: &RequestIdentity,
        now: Time,
    ) -> Result<Option<&'a StoredRequest<R>>, KeyReusedError> {
        let mut fresh = stored.iter().filter(|stored| stored.is_fresh(now));
        match fresh.find(|stored| stored.id == request.id()) {
            Some(other) if other.fingerprint != request.fingerprint() => Err(KeyReusedError),
            found => Ok(found),
        }
    }
}

/// 201 as it was sent, so that it can be sent again when the resource has long moved on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredResponse {
    location: String,
    version: i64,
    /// JSON.
    body: String,
}

impl StoredResponse {
    /// The response to the creation of what `view` shows.
    pub fn created(location: String, version: i64, view: &impl Serialize) -> httpkit::Result<Self> {
        let body =
            serde_json::to_string(view).map_err(|error| httpkit::Error::Internal(error.into()))?;
        Ok(StoredResponse { location, version, body })
    }
}

impl IntoResponse for StoredResponse {
    fn into_response(self) -> Response {
        let body = ([(header::CONTENT_TYPE, "application/json")], self.body);
        created(&self.location, self.version, body)
    }
}

#[cfg(test)]
mod tests {
    use common::ids::UserId;
    use http::Method;

    use super::*;

    #[test]
    fn a_request_is_recognised_for_a_day_and_another_under_its_key_is_refused() {
        let (start, user) = (Time::from_millis(1_700_000_000_000), UserId::new(Time::NEVER));
        let request =
            |user, key, path, body| RequestIdentity::with_key(user, key, &Method::POST, path, body);
        let first = request(user, "1", "/api/orders", b"{}");
        let stored = [StoredRequest::of(&first, (), start)];
        let day_later = start + RETENTION;
        let last_moment = day_later - Duration::from_millis(1);
        let find = |request: &RequestIdentity, now| {
            StoredRequest::find_in(&stored, request, now).map(Option::<&_>::cloned)
        };
        assert_eq!(find(&first, last_moment).unwrap(), Some(stored[0].clone()));
        assert_eq!(find(&first, day_later).unwrap(), None);
        for other in
            [request(user, "1", "/api/tickets", b"{}"), request(user, "1", "/api/orders", b"{ }")]
        {
            assert!(find(&other, start).is_err());
            assert_eq!(find(&other, day_later).unwrap(), None);
        }
        let someone = UserId::new(Time::NEVER);
        for other in
            [request(someone, "1", "/api/orders", b"{}"), request(user, "2", "/api/orders", b"{}")]
        {
            assert_eq!(find(&other, start).unwrap(), None);
        }
    }
}
