//! All of expiration's MongoDB: the schedules, which are the record of what expires when.

use std::collections::HashMap;

use bson::{Document, doc};
use common::events::Order;
use common::{Clock, Time};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use mongodb::Database;
use store::{Aggregate, Change, Documents, OutboxMessage, Result, mongo};

use crate::domain::{Schedule, State};

impl Aggregate for Schedule {
    const COLLECTION: &'static str = "schedules";
    const IS_WORKED_ON: bool = true;

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
            _ => {
                let (id, older, fields) = update(&first)?;
                self.schedules.update_where(id, older, fields).await?
            }
        };
        if is_written {
            return Ok(first);
        }
        let follow = |known: &Schedule| Ok(known.follow(order).map(Change::without_event));
        self.schedules.change_or_insert(&first, follow).await
    }

    /// Applies events of several orders. Returns the schedules; none if one of the new orders is known, or of the others isn't,
    /// or is newer here.
    pub async fn follow_all(&self, orders: Vec<Order>) -> Result<Option<Vec<Schedule>>> {
        let (new, known): (Vec<Order>, Vec<Order>) =
            orders.into_iter().partition(|order| order.version == 1);
        let new: Vec<Schedule> = new.iter().map(Schedule::of).collect();
        let known: Vec<Schedule> = known.iter().map(Schedule::of).collect();
        let inserts = new.iter().cloned().map(Change::without_event).collect();
        let refused = self.schedules.insert_all(inserts).await?;
        let updates = known.iter().map(update).collect::<Result<Vec<_>>>()?;
        let are_updated = self.schedules.update_each_where(updates).await?;
        let is_applied = refused.is_empty() && are_updated;
        Ok(is_applied.then(|| new.into_iter().chain(known).collect()))
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

/// As [`Schedule::follow`], of a schedule that exists: its id, what it is if it is older, and what becomes of it.
fn update(newer: &Schedule) -> Result<(String, Document, Document)> {
    let older = doc! {
        "orderVersion": { "$lt": newer.order_version },
        "state": { "$in": State::KNOWN.to_vec() },
    };
    let mut fields = mongo::document(newer)?;
    for kept in ["_id", "version", "firings"] {
        fields.remove(kept);
    }
    Ok((newer.order_id.to_string(), older, fields))
}
