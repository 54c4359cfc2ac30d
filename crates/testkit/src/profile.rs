//! What a service asks of its database, as MongoDB's profiler records it.

use bson::{Document, doc};
use common::Time;
use futures::TryStreamExt;
use mongodb::Database;
use store::{Broken, Promise};

/// Records every operation of a database.
pub struct Profile(Database);

impl Profile {
    pub async fn start(database: &Database) -> Self {
        let started = database.run_command(doc! { "profile": 2 }).await;
        started.expect("MongoDB records operations");
        Profile(database.clone())
    }

    /// Asserts that every query that was recorded has a time limit (`maxTimeMS`), and that every operation used an index
    /// for its filter and its order; those of tests are not counted.
    pub async fn assert_bounded(&self) {
        self.assert_bounded_except(doc! { "_id": { "$exists": false } }).await;
    }

    /// The same; the operations that this filter of the profile matches may sort what they have found.
    pub async fn assert_bounded_except(&self, may_sort: Document) {
        let unlimited = self.recorded(doc! {
            "$or": [
                { "command.find": { "$exists": true } },
                { "command.aggregate": { "$exists": true } },
                { "command.findAndModify": { "$exists": true } },
                { "command.count": { "$exists": true } },
                { "command.distinct": { "$exists": true } },
            ],
            "command.maxTimeMS": { "$exists": false },
        });
        let unlimited = unlimited.await;
        assert!(unlimited.is_empty(), "without a time limit: {unlimited:#?}");
        let scans = self.recorded(doc! {
            "planSummary": { "$regex": "COLLSCAN" },
            // Once, for documents of an older version.
            "command.q.unanswered": { "$exists": false },
        });
        let scans = scans.await;
        assert!(scans.is_empty(), "without an index for the filter: {scans:#?}");
        let sorted = self.recorded(doc! { "hasSortStage": true, "$nor": [may_sort] }).await;
        assert!(sorted.is_empty(), "without an index for the order: {sorted:#?}");
        let limited = doc! { "command.maxTimeMS": { "$exists": true } };
        assert!(!self.recorded(limited).await.is_empty(), "nothing was recorded");
    }

    async fn recorded(&self, mut filter: Document) -> Vec<Document> {
        filter.insert("appName", doc! { "$ne": "test" });
        let ns = format!("{}.system.profile", self.0.name());
        filter.insert("ns", doc! { "$ne": ns });
        let profile = self.0.collection::<Document>("system.profile");
        let fields =
            doc! { "ns": 1, "op": 1, "command": 1, "appName": 1, "planSummary": 1, "millis": 1 };
        let found = profile.find(filter).projection(fields).await;
        found.expect("the profile").try_collect().await.expect("the profile")
    }
}

/// Asserts that an index has the documents that break each promise, but for those that are counted by a look at all. (A
/// service counts the others all the time.)
pub async fn assert_promises_have_indexes(database: &Database, promises: &[Promise], now: Time) {
    for Promise { name, collection, broken } in promises {
        let Broken::Indexed(broken) = broken else { continue };
        let count = doc! { "count": collection, "query": broken(now) };
        let plan = database.run_command(doc! { "explain": count }).await.expect("a plan");
        let plan = plan.get_document("queryPlanner").expect("a plan").to_string();
        assert!(plan.contains("IXSCAN") || plan.contains("COUNT_SCAN"), "{name}: {plan}");
    }
}
