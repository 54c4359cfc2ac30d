//! Requests that take effect once, however often they are sent (`httpkit::idempotency`).

use std::future::Future;

use bson::doc;
use httpkit::idempotency::RequestIdentity;
use mongodb::options::ReadConcern;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::documents::{Aggregate, Documents};
use crate::error::Error;
use crate::stored_request::{RETENTION, StoredRequest, StoredResponse};

impl<T: Aggregate> Documents<T> {
    /// Runs the work of a request that inserts a document ([`Documents::insert_for`]), or returns the response that the
    /// same request got before.
    pub async fn run_once(
        &self,
        request: &RequestIdentity,
        work: impl Future<Output = httpkit::Result<StoredResponse>>,
    ) -> httpkit::Result<StoredResponse> {
        if let Some(first) = self.stored_request(request).await? {
            return Ok(first.response);
        }
        match work.await {
            Ok(response) => Ok(response),
            // What it conflicted with may be this very request, which was faster on another connection.
            Err(refusal) => {
                self.stored_request(request).await?.map(|first| first.response).ok_or(refusal)
            }
        }
    }

    /// The request, if a document stores it. Refuses (422) a key that was used for another one.
    ///
    /// An expired request is removed, so that its key is free for the next insert.
    pub async fn stored_request<R>(
        &self,
        request: &RequestIdentity,
    ) -> httpkit::Result<Option<StoredRequest<R>>>
    where
        R: DeserializeOwned + Send + Sync,
    {
        #[derive(Deserialize)]
        struct Holder<R> {
            requests: Vec<StoredRequest<R>>,
        }
        if !request.has_key() {
            return Ok(None);
        }
        let holders = self.documents.clone_with_type::<Holder<R>>();
        let find = |read_concern| {
            let find = holders.find_one(doc! { "requests.id": request.id() });
            find.projection(doc! { "requests.$": 1 }).read_concern(read_concern)
        };
        // As a rule there is none; that costs no write, and is decided by an insert.
        if find(ReadConcern::local()).await.map_err(Error::from)?.is_none() {
            return Ok(None);
        }
        // A response that a failover could roll back doesn't count yet.
        let holder = find(ReadConcern::linearizable()).await.map_err(Error::from)?;
        let Some(stored) = holder.and_then(|mut holder| holder.requests.pop()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        if StoredRequest::find_in(std::slice::from_ref(&stored), request, now)?.is_some() {
            return Ok(Some(stored));
        }
        let expired = doc! { "id": request.id(), "at": { "$lte": now - RETENTION } };
        let holder = doc! { "requests": { "$elemMatch": expired.clone() } };
        // In a new version, so that nobody who has loaded the document writes the request back.
        let remove = doc! { "$pull": { "requests": expired }, "$inc": { "version": 1 } };
        self.documents.update_one(holder, remove).await.map_err(Error::from)?;
        Ok(None)
    }
}
