//! All of orders' MongoDB: the orders, and the replicas of tickets and users.

use bson::{Document, doc};
use common::events::OrderStatus;
use common::ids::{OrderId, TicketId, UserId};
use common::{Clock, Time};
use futures::TryStreamExt;
use httpkit::idempotency::RequestIdentity;
use mongodb::options::Hint;
use mongodb::{Database, IndexModel};
use store::mongo::{self, Applied};
use store::{Change, Documents, RESTORE_VERSION_OFFSET, StoredResponse, TimedCollection};

use crate::domain::{Order, TicketReplica, UserReplica};

/// How often a decision is made again because a concurrent writer was faster.
pub const MAX_ATTEMPTS: usize = 32;

/// At most one live order per ticket: this index decides a race of buyers.
pub const ONE_LIVE_ORDER: &str = "one_live_order_per_ticket";
/// At most one order per fencing number of a ticket.
pub const ONE_ORDER_PER_HOLD: &str = "one_order_per_hold";
/// MongoDB's own index.
const ID_INDEX: &str = "_id_";

#[derive(Clone)]
pub struct Store {
    orders: Documents<Order>,
    tickets: TimedCollection<TicketReplica>,
    users: TimedCollection<UserReplica>,
}

/// The outcome of writing an order that claims a ticket: a new one, or one that claims it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It is stored.
    Inserted,
    /// Another live order has the ticket.
    Taken,
    /// A concurrent writer used the fencing number, changed the order, or inserted it first: decide again.
    Conflict,
}

impl InsertOutcome {
    /// What a violation of this unique index means. None: it isn't one of ours.
    pub fn of_violation(index: &str) -> Option<InsertOutcome> {
        match index {
            ONE_LIVE_ORDER => Some(InsertOutcome::Taken),
            ONE_ORDER_PER_HOLD | ID_INDEX => Some(InsertOutcome::Conflict),
            _ => None,
        }
    }
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
                ONE_LIVE_ORDER,
                doc! { "ticketId": 1 },
                Some(doc! { "active": true }),
            ),
            mongo::unique_index(ONE_ORDER_PER_HOLD, doc! { "ticketId": 1, "holds": -1 }, None),
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
            mongo::partial_index("unpaid", doc! { "expiresAt": 1 }, doc! { "unpaid": true }),
        ];
        let orders = Documents::open(database, clock, indexes).await?;
        let tickets = TimedCollection::new(database, "tickets");
        let users = TimedCollection::new(database, "people");
        Ok(Store { orders, tickets, users })
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store {
            orders: self.orders.in_background(database),
            tickets: self.tickets.in_background(database),
            users: self.users.in_background(database),
        }
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

    /// As [`Store::update`], for a decision that may be a refusal.
    pub async fn try_update<E: From<store::Error>>(
        &self,
        id: OrderId,
        decide: impl FnMut(&Order) -> Result<Option<Change<Order>>, E>,
    ) -> Result<Option<Order>, E> {
        self.orders.change(id, decide).await
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
        mongo::apply_if_newer(&self.tickets, &ticket.id.to_string(), ticket.version, ticket).await
    }

    pub async fn user(&self, id: UserId) -> store::Result<Option<UserReplica>> {
        Ok(self.users.find_one(doc! { "_id": id }).await?)
    }

    pub async fn apply_user(&self, user: &UserReplica) -> store::Result<Applied> {
        mongo::apply_if_newer(&self.users, &user.id.to_string(), user.version, user).await
    }

    /// The live order of the ticket, if there is one.
    pub async fn live_order(&self, ticket: TicketId) -> store::Result<Option<Order>> {
        Ok(self.orders.collection().find_one(doc! { "ticketId": ticket, "active": true }).await?)
    }

    /// The fencing number of a ticket's next reservation (see [`Order::next_hold`]).
    pub async fn next_hold(&self, ticket: TicketId) -> store::Result<i64> {
        let newest = self
            .orders
            .collection()
            .find_one(doc! { "ticketId": ticket })
            .sort(doc! { "holds": -1 })
            .await?;
        let ticket = self.ticket(ticket).await?;
        Ok(Order::next_hold(&newest, ticket.as_ref()))
    }

    /// After a restore: raises the lower bounds of the next fencing numbers beyond those that missing orders may have had.
    /// Once per run.
    pub async fn raise_hold_floors(&self, run: &str) -> store::Result<()> {
        let floor =
            doc! { "$add": [{ "$max": [0, "$hold", "$holdFloor"] }, RESTORE_VERSION_OFFSET] };
        let raise = vec![doc! { "$set": { "holdFloor": floor, "restoredBy": run } }];
        self.tickets.update_many(doc! { "restoredBy": { "$ne": run } }, raise).await?;
        Ok(())
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

    /// Replaces an order, which may claim its ticket again, if it is still at the version that the change was decided on.
    pub async fn replace(
        &self,
        decided_on: i64,
        change: &Change<Order>,
    ) -> store::Result<InsertOutcome> {
        match self.orders.replace(decided_on, &change.thing, &change.events).await {
            Ok(true) => Ok(InsertOutcome::Inserted),
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
        party: Party,
        statuses: &[OrderStatus],
        now: Time,
        after: Option<(Time, String)>,
        limit: i64,
    ) -> store::Result<Vec<Order>> {
        let (user, index) = match (party, statuses) {
            (Party::Buyer(user), []) => (doc! { "userId": user }, "by_buyer"),
            (Party::Buyer(user), _) => (doc! { "userId": user }, "by_buyer_and_status"),
            (Party::Seller(user), []) => (doc! { "sellerId": user }, "by_seller"),
            (Party::Seller(user), _) => (doc! { "sellerId": user }, "by_seller_and_status"),
        };
        let having: Vec<Document> = match statuses {
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
