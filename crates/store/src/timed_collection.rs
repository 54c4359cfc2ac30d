//! Collections whose queries have a time limit.

use std::ops::Deref;
use std::time::Duration;

use bson::Document;
use mongodb::action::{Aggregate, CountDocuments, Find, FindOne, FindOneAndUpdate};
use mongodb::options::UpdateModifications;
use mongodb::{Collection, Database};
use serde::de::DeserializeOwned;

/// MongoDB ends a query of a request after this time. Shorter than a request's own time limit.
const REQUEST_QUERY: Duration = Duration::from_secs(4);
/// … and one of a consumer, of the relay, or of another background task. Shorter than a listener's time limit.
const BACKGROUND_QUERY: Duration = Duration::from_secs(8);
/// … and one that reads a whole collection, which happens after a loss: to republish everything, to restore all timers.
pub const SCAN: Duration = Duration::from_secs(600);

/// A collection whose every query has a time limit (`maxTimeMS`): a slow one ends in the database, too, when nobody waits
/// for it any more. The driver has no such setting for all queries.
///
/// Everything else is the driver's; a write of documents by their ids needs no time limit, and what it waits for has one
/// (see [`crate::mongo::connect`]).
#[derive(Debug)]
pub struct TimedCollection<T: Send + Sync> {
    collection: Collection<T>,
    limit: Duration,
}

impl<T: Send + Sync> TimedCollection<T> {
    /// A collection for the queries of requests.
    pub fn new(database: &Database, name: &str) -> Self {
        TimedCollection { collection: database.collection(name), limit: REQUEST_QUERY }
    }

    /// The same collection for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        let collection = database.collection(self.collection.name());
        TimedCollection { collection, limit: BACKGROUND_QUERY }
    }

    /// The same collection, read as documents of another type.
    pub fn clone_with_type<U: Send + Sync>(&self) -> TimedCollection<U> {
        TimedCollection { collection: self.collection.clone_with_type(), limit: self.limit }
    }

    pub fn find(&self, filter: Document) -> Find<'_, T> {
        self.collection.find(filter).max_time(self.limit)
    }

    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
        self.collection.aggregate(pipeline).max_time(self.limit)
    }

    pub fn count_documents(&self, filter: Document) -> CountDocuments<'_> {
        self.collection.count_documents(filter).max_time(self.limit)
    }
}

impl<T: DeserializeOwned + Send + Sync> TimedCollection<T> {
    pub fn find_one(&self, filter: Document) -> FindOne<'_, T> {
        self.collection.find_one(filter).max_time(self.limit)
    }

    pub fn find_one_and_update(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> FindOneAndUpdate<'_, T> {
        self.collection.find_one_and_update(filter, update).max_time(self.limit)
    }
}

impl<T: Send + Sync> Clone for TimedCollection<T> {
    fn clone(&self) -> Self {
        TimedCollection { collection: self.collection.clone(), limit: self.limit }
    }
}

impl<T: Send + Sync> Deref for TimedCollection<T> {
    type Target = Collection<T>;

    fn deref(&self) -> &Collection<T> {
        &self.collection
    }
}
