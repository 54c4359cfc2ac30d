//! All of expiration's MongoDB: the schedules, which are the record of what expires when.

use std::collections::HashMap;

use bson::doc;
use common::events::Order;
use common::{Clock, Time};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use mongodb::Database;
use store::{Aggregate, Change, Documents, OutboxMessage, Result, mongo};

use crate::domain::{Schedule, State};

impl Aggregate for Schedule {
    const COLLECTION: &'static str = "schedules";

    fn id(&self) -> String {
        self.order_id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.snapshot_event().into_iter().collect()
    }

    fn has_unknown_value(&self) -> bool {
        self.state == State::Unknown
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

#[derive(Clone)]
pub struct Store {
    schedules: Documents<Schedule>,
}

impl Store {
    /// Opens the collection and creates its indexes. Expired and ended schedules are kept indefinitely, so only scheduled
    /// ones are indexed by their time.
    pub async fn open(database: &Database, clock: Clock) -> Result<Self> {
        let scheduled = mongo::partial_index(
            "scheduled",
            doc! { "state": 1, "expiresAt": 1 },
            doc! { "state": "scheduled" },
        );
        Ok(Store { schedules: Documents::open(database, clock, [scheduled]).await? })
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store { schedules: self.schedules.in_background(database) }
    }

    /// For the relay and the admin commands.
    pub fn documents(&self) -> &Documents<Schedule> {
        &self.schedules
    }

    /// Applies an event of an order, unless the same or a newer state is known. Returns the schedule after that.
    pub async fn follow(&self, order: &Order) -> Result<Schedule> {
        let first = Schedule::of(order);
        // The first event of an order is its first here, and what follows is newer: both are one write.
        let is_written = match order.version {
            1 => self.schedules.insert_if_new(&Change::without_event(first.clone())).await?,
            _ => self.update(&first).await?,
        };
        if is_written {
            return Ok(first);
        }
        let follow = |known: &Schedule| Ok(known.follow(order).map(Change::without_event));
        self.schedules.change_or_insert(&first, follow).await
    }

    /// As [`Schedule::follow`], of a schedule that exists. False: it doesn't, or isn't older.
    async fn update(&self, newer: &Schedule) -> Result<bool> {
        let older = doc! {
            "orderVersion": { "$lt": newer.order_version },
            "state": { "$in": State::KNOWN.to_vec() },
        };
        let mut fields = mongo::document(newer)?;
        for kept in ["_id", "version", "firings"] {
            fields.remove(kept);
        }
        self.schedules.update_where(newer.order_id, older, fields).await
    }

    /// Stores a decision. False: the schedule was changed since `decided_on`; decide again.
    pub async fn replace(&self, decided_on: &Schedule, change: &Change<Schedule>) -> Result<bool> {
        self.schedules.replace(decided_on.version, &change.thing, &change.events).await
    }

    /// The schedules of these orders, by order id. Unknown orders are omitted.
    pub async fn find(&self, orders: &[String]) -> Result<HashMap<String, Schedule>> {
        let schedules = self.schedules.collection();
        let found = schedules.find(doc! { "_id": { "$in": orders } }).await?;
        Ok(found.map_ok(|schedule| (schedule.order_id.to_string(), schedule)).try_collect().await?)
    }

    /// At most `limit` schedules that expired before `time` and are still scheduled, the longest overdue first.
    pub async fn overdue(&self, time: Time, limit: i64) -> Result<Vec<Schedule>> {
        let filter = doc! { "state": "scheduled", "expiresAt": { "$lt": time } };
        let schedules = self.schedules.collection();
        let overdue = schedules.find(filter).sort(doc! { "expiresAt": 1 }).limit(limit);
        Ok(overdue.await?.try_collect().await?)
    }

    /// Everything that is scheduled, the next to expire first.
    pub async fn scheduled(&self) -> Result<BoxStream<'static, Result<Schedule>>> {
        let schedules = self.schedules.collection();
        let scheduled = schedules.find(doc! { "state": "scheduled" }).sort(doc! { "expiresAt": 1 });
        Ok(scheduled.max_time(store::SCAN).await?.map_err(store::Error::from).boxed())
    }
}
