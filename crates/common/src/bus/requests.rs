//! The requests that documents remember, beside their outbox, to do the work of each once
//! ([`crate::idempotency`]).

use std::future::Future;

use bson::doc;
use mongodb::IndexModel;
use mongodb::options::ReadConcern;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::outbox::{Aggregate, Aggregates};
use crate::error::Result;
use crate::idempotency::{Created, Key, MEMORY, Remembered};
use crate::mongo;

/// A key is had by one document alone: this index decides a race of equal requests.
pub const REQUESTS: &str = "requests";

pub(super) fn index() -> IndexModel {
    let only = doc! { "requests.id": { "$exists": true } };
    mongo::unique_index(REQUESTS, doc! { "requests.id": 1 }, Some(only))
}

impl<T: Aggregate> Aggregates<T> {
    /// Does the work of a request that inserts a document ([`Aggregates::insert_for`]), or gives the
    /// answer that it got when it came first.
    pub async fn once(
        &self,
        key: &Key,
        work: impl Future<Output = Result<Created>>,
    ) -> Result<Created> {
        if let Some(first) = self.remembered(key).await? {
            return Ok(first.answer);
        }
        match work.await {
            Ok(created) => Ok(created),
            // What stood in its way may be this very request, which was faster on another connection.
            Err(refusal) => self.remembered(key).await?.map(|first| first.answer).ok_or(refusal),
        }
    }

    /// The request, if a document remembers it. Refuses (422) if its key was used for another one.
    ///
    /// What is older than a day is forgotten here, so that its key is free for the next insert.
    pub async fn remembered<A>(&self, key: &Key) -> Result<Option<Remembered<A>>>
    where
        A: DeserializeOwned + Send + Sync,
    {
        #[derive(Deserialize)]
        struct Holder<A> {
            requests: Vec<Remembered<A>>,
        }
        if !key.is_given() {
            return Ok(None);
        }
        let holder = self
            .documents
            .clone_with_type::<Holder<A>>()
            .find_one(doc! { "requests.id": key.id() })
            .projection(doc! { "requests.$": 1 })
            // What a failover could take back is no answer yet.
            .read_concern(ReadConcern::linearizable())
            .await?;
        let Some(request) = holder.and_then(|mut holder| holder.requests.pop()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        if key.among(std::slice::from_ref(&request), now)?.is_some() {
            return Ok(Some(request));
        }
        let old = doc! { "id": key.id(), "at": { "$lte": now - MEMORY } };
        let holder = doc! { "requests": { "$elemMatch": old.clone() } };
        // In a new version, so that nobody who read it before writes it back.
        let forget = doc! { "$pull": { "requests": old }, "$inc": { "version": 1 } };
        self.documents.update_one(holder, forget).await?;
        Ok(None)
    }
}
