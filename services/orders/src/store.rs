//! All of orders' MongoDB: the orders, and the replicas of tickets and users.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use common::events::OrderStatus;
use common::ids::{OrderId, TicketId, UserId};
use common::{Clock, Place, Time};
use futures::TryStreamExt;
use httpkit::idempotency::RequestIdentity;
use mongodb::options::Hint;
use mongodb::{Database, IndexModel};
use serde::Deserialize;
use store::mongo;
use store::replicas::{self, Applied};
use store::{Change, Documents, StoredResponse, TimedCollection};

use crate::domain::{Order, TicketReplica, UserReplica};
use crate::shortages::Shortages;

/// How often a decision is made again because a concurrent writer was faster.
pub const MAX_ATTEMPTS: usize = 32;

/// At most one order occupies a place of a listing: this index decides a race of buyers.
pub const ONE_ORDER_PER_PLACE: &str = "one_order_per_place";
/// At most one unpaid order takes a slot of a buyer.
pub const ONE_ORDER_PER_SLOT: &str = "one_order_per_slot";
/// The index of version 0.1.0, to which a listing is one ticket.
const ONE_LIVE_ORDER: &str = "one_live_order_per_ticket";
/// The index of reported problems.
const PROBLEMS: &str = "problems";
/// MongoDB's own index.
const ID_INDEX: &str = "_id_";
/// How many unpaid orders of a listing are loaded at once.
const BATCH: i64 = 20;

#[derive(Clone)]
pub struct Store {
    orders: Documents<Order>,
    tickets: TimedCollection<TicketReplica>,
    users: TimedCollection<UserReplica>,
    shortages: Shortages,
}

/// The outcome of writing an order that claims places: a new one, or one that claims some again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It is stored.
    Inserted,
    /// Another order occupies one of the places.
    PlaceTaken,
    /// Another unpaid order takes the buyer's slot.
    SlotTaken,
    /// A concurrent writer changed the order, or inserted it first: decide again.
    Conflict,
}

impl InsertOutcome {
    /// What a violation of this unique index means. None: it isn't one of ours.
    pub fn of_violation(index: &str) -> Option<InsertOutcome> {
        match index {
            ONE_ORDER_PER_PLACE => Some(InsertOutcome::PlaceTaken),
            ONE_ORDER_PER_SLOT => Some(InsertOutcome::SlotTaken),
            ID_INDEX => Some(InsertOutcome::Conflict),
            _ => None,
        }
    }
}

/// Which orders a list contains.
#[derive(Clone, Debug)]
pub struct ListFilter {
    pub party: Party,
    /// Of this listing alone.
    pub ticket: Option<TicketId>,
    /// In any of these states; in any at all if it is empty.
    pub statuses: Vec<OrderStatus>,
}

/// Whose orders a list contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Buyer(UserId),
    Seller(UserId),
}

impl Store {
    pub async fn open(database: &Database, clock: Clock) -> store::Result<Store> {
        let indexes = [
            mongo::unique_index(
                ONE_ORDER_PER_PLACE,
                doc! { "ticketId": 1, "places": 1 },
                Some(doc! { "occupies": true }),
            ),
            mongo::unique_index(
                ONE_ORDER_PER_SLOT,
                doc! { "userId": 1, "slot": 1 },
                Some(doc! { "unpaid": true, "slot": { "$gte": 1 } }),
            ),
            mongo::partial_index(
                "unpaid_of_ticket",
                doc! { "ticketId": 1, "expiresAt": 1 },
                doc! { "unpaid": true },
            ),
            list_index("by_buyer", doc! { "userId": 1 }, doc! {}),
            list_index("by_seller", doc! { "sellerId": 1 }, doc! {}),
            list_index(
                "by_buyer_and_status",
                doc! { "userId": 1, "status": 1 },
                doc! { "expiresAt": 1 },
            ),
            list_index(
                "by_seller_and_status",
                doc! { "sellerId": 1, "status": 1 },
                doc! { "expiresAt": 1 },
            ),
            list_index("by_ticket", doc! { "ticketId": 1 }, doc! {}),
            list_index(
                "by_ticket_and_status",
                doc! { "ticketId": 1, "status": 1 },
                doc! { "expiresAt": 1 },
            ),
            mongo::partial_index(
                PROBLEMS,
                doc! { "status": 1, "handover.problem.reportedAt": -1, "_id": -1 },
                doc! { "handover.problem.message": { "$exists": true } },
            ),
            mongo::partial_index("unpaid", doc! { "expiresAt": 1 }, doc! { "unpaid": true }),
        ];
        let orders = Documents::open(database, clock, indexes).await?;
        let tickets = TimedCollection::new(database, "tickets");
        let users = TimedCollection::new(database, "people");
        Ok(Store { orders, tickets, users, shortages: Shortages::default() })
    }

    /// Whether replicas of version 0.1.0 may write the same documents: they don't know places, and sell them a second time.
    pub async fn is_shared_with_first_version(&self) -> store::Result<bool> {
        let orders = self.orders.collection();
        let names = mongo::when_available(|| async { Ok(orders.list_index_names().await?) });
        Ok(names.await?.iter().any(|name| name == ONE_LIVE_ORDER))
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store {
            orders: self.orders.in_background(database),
            tickets: self.tickets.in_background(database),
            users: self.users.in_background(database),
            shortages: self.shortages.clone(),
        }
    }

    /// Which listings had too few free places a moment ago.
    pub fn shortages(&self) -> &Shortages {
        &self.shortages
    }

    /// The orders' documents, for the relay and the admin commands.
    pub fn documents(&self) -> &Documents<Order> {
        &self.orders
    }

    pub async fn order(&self, id: OrderId) -> store::Result<Option<Order>> {
        self.orders.get(id).await
    }

    /// Loads, decides and saves, again if a concurrent writer was faster. Returns the order after that; none if it doesn't
    /// exist.
    pub async fn update(
        &self,
        id: OrderId,
        mut decide: impl FnMut(&Order) -> Option<Change<Order>>,
    ) -> store::Result<Option<Order>> {
        self.try_update(id, |order| Ok(decide(order))).await
    }

    /// tickets has reserved the places for this order. Nobody but pages would hear of it, to which it makes no difference,
    /// so it isn't published. False: the order isn't waiting for that.
    pub async fn confirm_reserved(&self, id: OrderId) -> store::Result<bool> {
        let created = doc! { "status": OrderStatus::Created.as_str() };
        let awaiting = doc! { "status": OrderStatus::AwaitingPayment.as_str() };
        self.orders.update_where(id, created, awaiting).await
    }

    /// The same for several orders. Returns how many were waiting.
    pub async fn confirm_all_reserved(&self, ids: &[OrderId]) -> store::Result<u64> {
        let created = doc! { "status": OrderStatus::Created.as_str() };
        let awaiting = doc! { "status": OrderStatus::AwaitingPayment.as_str() };
        self.orders.update_all_where(ids, created, awaiting).await
    }

    /// As [`Store::update`], for a decision that may be a refusal.
    pub async fn try_update<E: From<store::Error>>(
        &self,
        id: OrderId,
        decide: impl FnMut(&Order) -> Result<Option<Change<Order>>, E>,
    ) -> Result<Option<Order>, E> {
        let order = self.orders.change(id, decide).await?;
        order.iter().for_each(|order| self.shortages.forget(order.ticket_id));
        Ok(order)
    }

    /// Runs a request that inserts an order ([`Store::insert_for`]), or returns the response that the same request got
    /// before.
    pub async fn run_once(
        &self,
        request: &RequestIdentity,
        work: impl Future<Output = httpkit::Result<StoredResponse>>,
    ) -> httpkit::Result<StoredResponse> {
        self.orders.run_once(request, work).await
    }

    pub async fn ticket(&self, id: TicketId) -> store::Result<Option<TicketReplica>> {
        Ok(self.tickets.find_one(doc! { "_id": id }).await?)
    }

    /// Replaces the replica if this one is newer. It is the version mark of the event that carried it.
    pub async fn apply_ticket(&self, ticket: &TicketReplica) -> store::Result<Applied> {
        replicas::apply_if_newer(&self.tickets, &ticket.id.to_string(), ticket.version, ticket)
            .await
    }

    /// The same of several tickets.
    pub async fn apply_tickets(&self, tickets: &[TicketReplica]) -> store::Result<()> {
        replicas::apply_all_if_newer(&self.tickets, tickets).await
    }

    pub async fn user(&self, id: UserId) -> store::Result<Option<UserReplica>> {
        Ok(self.users.find_one(doc! { "_id": id }).await?)
    }

    /// Those of these users that are known.
    pub async fn users(&self, ids: &[UserId]) -> store::Result<Vec<UserReplica>> {
        Ok(self.users.find(doc! { "_id": { "$in": ids } }).await?.try_collect().await?)
    }

    pub async fn apply_user(&self, user: &UserReplica) -> store::Result<Applied> {
        replicas::apply_if_newer(&self.users, &user.id.to_string(), user.version, user).await
    }

    /// The orders that end, or are refunded, because this user is banned: of which they are buyer or seller.
    pub async fn orders_to_end(
        &self,
        user: UserId,
        refund: bool,
        now: Time,
    ) -> store::Result<Vec<OrderId>> {
        #[derive(Deserialize)]
        struct Id {
            #[serde(rename = "_id")]
            id: OrderId,
        }
        let unpaid = [OrderStatus::Created, OrderStatus::AwaitingPayment].map(OrderStatus::as_str);
        let mut states = vec![doc! { "status": { "$in": unpaid.to_vec() } }];
        if refund {
            // An event without a date is yet to come.
            states.extend(
                [doc! { "ticket.date": null }, doc! { "ticket.date": { "$gt": now } }].map(
                    |mut to_come| {
                        to_come.insert("status", OrderStatus::Complete.as_str());
                        to_come.insert("refundRequired", Bson::Null);
                        to_come
                    },
                ),
            );
        }
        let mut ids = Vec::new();
        for (party, index) in
            [("userId", "by_buyer_and_status"), ("sellerId", "by_seller_and_status")]
        {
            let ranges = states.iter().map(|state| {
                let mut range = doc! { party: user };
                range.extend(state.clone());
                range
            });
            let filter = doc! { "$or": ranges.collect::<Vec<_>>() };
            let orders = self.orders.collection().clone_with_type::<Id>();
            let found = orders.find(filter).projection(doc! { "_id": 1 });
            let mut found = found.hint(Hint::Name(index.to_owned())).await?;
            while let Some(Id { id }) = found.try_next().await? {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// The places that orders of the listing occupy.
    pub async fn taken_places(&self, ticket: TicketId) -> store::Result<BTreeSet<Place>> {
        let occupied = doc! { "ticketId": ticket, "occupies": true };
        let places = self.orders.collection().distinct("places", occupied).await?;
        let places = places.into_iter().map(bson::deserialize_from_bson::<Place>);
        Ok(places.collect::<bson::error::Result<_>>()?)
    }

    /// The unpaid orders of the listing that end first.
    pub async fn unpaid_orders(&self, ticket: TicketId) -> store::Result<Vec<Order>> {
        let unpaid = doc! { "ticketId": ticket, "unpaid": true };
        let orders = self.orders.collection();
        let first = orders.find(unpaid).sort(doc! { "expiresAt": 1 }).limit(BATCH);
        Ok(first.await?.try_collect().await?)
    }

    /// The unpaid orders that take slots of a buyer; the one that ends first comes first.
    pub async fn unpaid_orders_of(&self, buyer: UserId) -> store::Result<Vec<Order>> {
        let unpaid = doc! { "userId": buyer, "unpaid": true, "slot": { "$gte": 1 } };
        let mut orders: Vec<Order> =
            self.orders.collection().find(unpaid).await?.try_collect().await?;
        orders.sort_unstable_by_key(|order| order.expires_at);
        Ok(orders)
    }

    /// One of the orders that occupy places of the listing: a complete one, if there is one.
    pub async fn occupying_order(&self, ticket: TicketId) -> store::Result<Option<Order>> {
        let complete = doc! { "ticketId": ticket, "occupies": true, "status": "complete" };
        let occupied = doc! { "ticketId": ticket, "occupies": true };
        let orders = self.orders.collection();
        match orders.find_one(complete).await? {
            Some(order) => Ok(Some(order)),
            None => Ok(orders.find_one(occupied).await?),
        }
    }

    /// The orders that occupy places of the listing.
    pub async fn occupying_orders(&self, ticket: TicketId) -> store::Result<Vec<OrderId>> {
        let occupied = doc! { "ticketId": ticket, "occupies": true };
        let orders: Vec<Order> =
            self.orders.collection().find(occupied).await?.try_collect().await?;
        Ok(orders.into_iter().map(|order| order.id).collect())
    }

    /// Inserts a new order, which is the reservation.
    pub async fn insert(&self, change: &Change<Order>) -> store::Result<InsertOutcome> {
        match self.orders.insert(&change.thing, &change.events).await {
            Ok(()) => Ok(InsertOutcome::Inserted),
            Err(error) => violation(error),
        }
    }

    /// As [`Store::insert`], for a request that may be repeated.
    pub async fn insert_for(
        &self,
        request: &RequestIdentity,
        response: &StoredResponse,
        change: &Change<Order>,
    ) -> store::Result<InsertOutcome> {
        match self.orders.insert_for(request, response, &change.thing, &change.events).await {
            Ok(()) => Ok(InsertOutcome::Inserted),
            Err(error) => violation(error),
        }
    }

    /// Replaces an order, which may claim places again, if it is still at the version that the change was decided on.
    pub async fn replace(
        &self,
        decided_on: i64,
        change: &Change<Order>,
    ) -> store::Result<InsertOutcome> {
        match self.orders.replace(decided_on, &change.thing, &change.events).await {
            Ok(true) => {
                self.shortages.forget(change.thing.ticket_id);
                Ok(InsertOutcome::Inserted)
            }
            Ok(false) => Ok(InsertOutcome::Conflict),
            Err(error) => violation(error),
        }
    }

    /// A page of a user's orders, newest first, after the last one of the page before (time, id).
    ///
    /// Each status and each part of the order after that one is a range of the list's index, which has the order, too:
    /// MongoDB merges the ranges, and fetches no document that isn't on the page.
    pub async fn list(
        &self,
        wanted: &ListFilter,
        now: Time,
        after: Option<(Time, String)>,
        limit: i64,
    ) -> store::Result<Vec<Order>> {
        let ListFilter { party, ticket, statuses } = wanted;
        let mut user = match party {
            Party::Buyer(user) => doc! { "userId": user },
            Party::Seller(user) => doc! { "sellerId": user },
        };
        if let Some(ticket) = ticket {
            user.insert("ticketId", ticket);
        }
        let index = match (ticket, party, statuses.is_empty()) {
            (Some(_), _, true) => "by_ticket",
            (Some(_), _, false) => "by_ticket_and_status",
            (None, Party::Buyer(_), true) => "by_buyer",
            (None, Party::Buyer(_), false) => "by_buyer_and_status",
            (None, Party::Seller(_), true) => "by_seller",
            (None, Party::Seller(_), false) => "by_seller_and_status",
        };
        let having: Vec<Document> = match statuses.as_slice() {
            [] => vec![doc! {}],
            _ => statuses.iter().flat_map(|status| have_status(*status, now)).collect(),
        };
        let beyond = match after {
            Some((time, id)) => vec![
                doc! { "createdAt": time, "_id": { "$lt": id } },
                doc! { "createdAt": { "$lt": time } },
            ],
            None => vec![doc! {}],
        };
        let ranges = having.iter().flat_map(|having| {
            beyond.iter().map(|beyond| {
                let mut range = user.clone();
                range.extend(having.clone());
                range.extend(beyond.clone());
                range
            })
        });
        let ranges: Vec<Document> = ranges.collect();
        let orders = self.orders.collection();
        let found = orders
            .find(doc! { "$or": ranges })
            .sort(newest_first())
            .hint(Hint::Name(index.to_owned()))
            .limit(limit)
            .await?;
        Ok(found.try_collect().await?)
    }

    /// A page of the complete orders whose buyers have reported a problem that isn't solved, the latest report first, after the
    /// last one of the page before (time, id).
    pub async fn problems(
        &self,
        after: Option<(Time, String)>,
        limit: i64,
    ) -> store::Result<Vec<Order>> {
        const REPORTED_AT: &str = "handover.problem.reportedAt";
        let reported =
            doc! { "status": "complete", "handover.problem.message": { "$exists": true } };
        let beyond = match after {
            Some((time, id)) => vec![
                doc! { REPORTED_AT: time, "_id": { "$lt": id } },
                doc! { REPORTED_AT: { "$lt": time } },
            ],
            None => vec![doc! {}],
        };
        let ranges = beyond.into_iter().map(|beyond| {
            let mut range = reported.clone();
            range.extend(beyond);
            range
        });
        let ranges: Vec<Document> = ranges.collect();
        let orders = self.orders.collection();
        let found = orders
            .find(doc! { "$or": ranges })
            .sort(doc! { REPORTED_AT: -1, "_id": -1 })
            .hint(Hint::Name(PROBLEMS.to_owned()))
            .limit(limit)
            .await?;
        Ok(found.try_collect().await?)
    }

    /// Unpaid orders that expired before this time.
    pub async fn expired_before(&self, time: Time) -> store::Result<Vec<OrderId>> {
        let filter = doc! { "unpaid": true, "expiresAt": { "$lt": time } };
        let orders: Vec<Order> = self
            .orders
            .collection()
            .find(filter)
            .sort(doc! { "expiresAt": 1 })
            .limit(100)
            .await?
            .try_collect()
            .await?;
        Ok(orders.into_iter().map(|order| order.id).collect())
    }
}

fn newest_first() -> Document {
    doc! { "createdAt": -1, "_id": -1 }
}

/// The index of a list: what is equal, its order, and what is filtered in addition.
fn list_index(name: &str, mut keys: Document, filtered: Document) -> IndexModel {
    keys.extend(newest_first());
    keys.extend(filtered);
    mongo::index(name, keys)
}

/// The orders that a reader sees in this status at this time (see [`Order::status_at`]): those of any of these
/// conditions.
fn have_status(status: OrderStatus, now: Time) -> Vec<Document> {
    let expired =
        |status: OrderStatus| doc! { "status": status.as_str(), "expiresAt": { "$lte": now } };
    match status {
        OrderStatus::Created | OrderStatus::AwaitingPayment => {
            vec![doc! { "status": status.as_str(), "expiresAt": { "$gt": now } }]
        }
        OrderStatus::Complete | OrderStatus::Unknown => vec![doc! { "status": status.as_str() }],
        OrderStatus::Cancelled => vec![
            doc! { "status": status.as_str() },
            expired(OrderStatus::Created),
            expired(OrderStatus::AwaitingPayment),
        ],
    }
}

/// The outcome, if one of our unique indexes refused the write.
fn violation(error: store::Error) -> store::Result<InsertOutcome> {
    let index = error.duplicate_of();
    index.as_deref().and_then(InsertOutcome::of_violation).ok_or(error)
}
