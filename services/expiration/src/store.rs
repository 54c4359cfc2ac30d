//! All of expiration's MongoDB: the schedules, which are the record of what is to be told when.

use std::collections::HashMap;

use bson::doc;
use bus::Failure;
use common::events::Order;
use common::{Clock, Time};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use mongodb::Database;
use store::Result;
use store::{Aggregate, Change, Documents, OutboxMessage, mongo};

use crate::domain::Schedule;

impl Aggregate for Schedule {
    const COLLECTION: &'static str = "schedules";
    fn id(&self) -> String {
        self.order_id.to_string()
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.retelling().into_iter().collect()
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

#[derive(Clone)]
pub struct Store {
    pub schedules: Documents<Schedule>,
}

impl Store {
    /// Opens the collection and makes its indexes. Schedules that have fired or are over are kept for
    /// good, so only those that wait are indexed by their time.
    pub async fn open(database: &Database, clock: Clock) -> Result<Self> {
        let waiting = mongo::partial_index(
            "scheduled",
            doc! { "state": 1, "expiresAt": 1 },
            doc! { "state": "scheduled" },
        );
        Ok(Store { schedules: Documents::open(database, clock, [waiting]).await? })
    }

    /// Writes down what an event of an order says, unless that or newer is known, and answers with the
    /// schedule as it is then.
    pub async fn follow(&self, order: &Order) -> std::result::Result<Schedule, Failure> {
        let first = Schedule::of(order);
        let follow = |known: &Schedule| Ok(known.follow(order).map(Change::without_event));
        self.schedules.change_or_insert(&first, follow).await
    }

    /// The schedules of these orders, as far as there are any.
    pub async fn find(&self, orders: &[String]) -> Result<HashMap<String, Schedule>> {
        let schedules = self.schedules.collection();
        let found = schedules.find(doc! { "_id": { "$in": orders } }).await?;
        Ok(found.map_ok(|schedule| (schedule.order_id.to_string(), schedule)).try_collect().await?)
    }

    /// Some that wait although they were due before `time`, the longest overdue first.
    pub async fn overdue(&self, time: Time, limit: i64) -> Result<Vec<Schedule>> {
        let filter = doc! { "state": "scheduled", "expiresAt": { "$lt": time } };
        let schedules = self.schedules.collection();
        let overdue = schedules.find(filter).sort(doc! { "expiresAt": 1 }).limit(limit);
        Ok(overdue.await?.try_collect().await?)
    }

    /// All that wait, the next one first.
    pub async fn scheduled(&self) -> Result<BoxStream<'static, Result<Schedule>>> {
        let schedules = self.schedules.collection();
        let waiting = schedules.find(doc! { "state": "scheduled" }).sort(doc! { "expiresAt": 1 });
        Ok(waiting.await?.map_err(store::Error::from).boxed())
    }
}
