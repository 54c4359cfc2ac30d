//! All of orders' MongoDB: the orders, and the replicas of tickets and users.

use bson::{Bson, Document, doc};
use common::events::OrderStatus;
use common::ids::{OrderId, TicketId, UserId};
use common::{Clock, Time};
use futures::TryStreamExt;
use httpkit::idempotency::RequestIdentity;
use mongodb::{Collection, Database};
use store::mongo::{self, Applied};
use store::{Change, Documents, RESTORE_VERSION_OFFSET, StoredResponse};

use crate::domain::{Order, Person, Ticket};

/// At most one order has a ticket: this index is what decides a race of buyers.
pub const ONE_LIVE_ORDER: &str = "one_live_order_per_ticket";
/// A hold number is had by one order alone.
pub const ONE_ORDER_A_HOLD: &str = "one_order_per_hold";
/// MongoDB's own index.
const ONE_ORDER_AN_ID: &str = "_id_";

#[derive(Clone)]
pub struct Store {
    pub orders: Documents<Order>,
    tickets: Collection<Ticket>,
    people: Collection<Person>,
}

/// What became of an order that would have a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Yes,
    /// Another live order has the ticket.
    Taken,
    /// Another order has had the number, or the order has changed or is there already: look again and
    /// try again.
    TryAgain,
}

impl Placed {
    /// What the refusal of a unique index means. None: no index of ours.
    pub fn refused_by(index: &str) -> Option<Placed> {
        match index {
            ONE_LIVE_ORDER => Some(Placed::Taken),
            ONE_ORDER_A_HOLD | ONE_ORDER_AN_ID => Some(Placed::TryAgain),
            _ => None,
        }
    }
}

/// Whose orders a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
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
            mongo::unique_index(ONE_ORDER_A_HOLD, doc! { "ticketId": 1, "holds": -1 }, None),
            mongo::index("by_buyer", doc! { "userId": 1, "createdAt": -1, "_id": -1 }),
            mongo::index("by_seller", doc! { "sellerId": 1, "createdAt": -1, "_id": -1 }),
            mongo::partial_index("unpaid", doc! { "expiresAt": 1 }, doc! { "unpaid": true }),
        ];
        let orders = Documents::open(database, clock, indexes).await?;
        let tickets = database.collection("tickets");
        let people = database.collection("people");
        Ok(Store { orders, tickets, people })
    }

    pub async fn ticket(&self, id: TicketId) -> store::Result<Option<Ticket>> {
        Ok(self.tickets.find_one(doc! { "_id": id }).await?)
    }

    /// The version mark: written last, after the effects of the event that brought it.
    pub async fn apply_ticket(&self, ticket: &Ticket) -> store::Result<Applied> {
        mongo::apply_if_newer(&self.tickets, &ticket.id.to_string(), ticket.version, ticket).await
    }

    pub async fn person(&self, id: UserId) -> store::Result<Option<Person>> {
        Ok(self.people.find_one(doc! { "_id": id }).await?)
    }

    pub async fn apply_person(&self, person: &Person) -> store::Result<Applied> {
        mongo::apply_if_newer(&self.people, &person.id.to_string(), person.version, person).await
    }

    /// The order that has the ticket, if one does.
    pub async fn live_order(&self, ticket: TicketId) -> store::Result<Option<Order>> {
        Ok(self.orders.collection().find_one(doc! { "ticketId": ticket, "active": true }).await?)
    }

    /// The number of a ticket's next hold (see [`Order::next_hold`]).
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

    /// After a restore: raises the numbers from which the next holds count on, once a run, beyond those
    /// that lost orders may have had.
    pub async fn raise_holds(&self, run: &str) -> store::Result<()> {
        let floor =
            doc! { "$add": [{ "$max": [0, "$hold", "$holdFloor"] }, RESTORE_VERSION_OFFSET] };
        let raise = vec![doc! { "$set": { "holdFloor": floor, "restoredBy": run } }];
        self.tickets.update_many(doc! { "restoredBy": { "$ne": run } }, raise).await?;
        Ok(())
    }

    /// Stores a new order: the reservation.
    pub async fn reserve(&self, change: &Change<Order>) -> store::Result<Placed> {
        match self.orders.insert(&change.thing, &change.events).await {
            Ok(()) => Ok(Placed::Yes),
            Err(error) => refused(error),
        }
    }

    /// As [`Store::reserve`], for a request that may come again.
    pub async fn reserve_for(
        &self,
        key: &RequestIdentity,
        answer: &StoredResponse,
        change: &Change<Order>,
    ) -> store::Result<Placed> {
        match self.orders.insert_for(key, answer, &change.thing, &change.events).await {
            Ok(()) => Ok(Placed::Yes),
            Err(error) => refused(error),
        }
    }

    /// Stores what becomes of an order that may take its ticket again.
    pub async fn replace(&self, decided_on: i64, change: &Change<Order>) -> store::Result<Placed> {
        match self.orders.replace(decided_on, &change.thing, &change.events).await {
            Ok(true) => Ok(Placed::Yes),
            Ok(false) => Ok(Placed::TryAgain),
            Err(error) => refused(error),
        }
    }

    /// A page of someone's orders, newest first, from after the one that was last (time, id).
    pub async fn list(
        &self,
        side: Side,
        statuses: &[OrderStatus],
        now: Time,
        after: Option<(Time, String)>,
        limit: i64,
    ) -> store::Result<Vec<Order>> {
        let mut filter = match side {
            Side::Buyer(user) => doc! { "userId": user },
            Side::Seller(user) => doc! { "sellerId": user },
        };
        let mut all = Vec::new();
        if !statuses.is_empty() {
            all.push(
                doc! { "$or": statuses.iter().map(|status| at(*status, now)).collect::<Vec<_>>() },
            );
        }
        if let Some((time, id)) = after {
            all.push(doc! { "$or": [
                { "createdAt": { "$lt": time } },
                { "createdAt": time, "_id": { "$lt": id } },
            ] });
        }
        if !all.is_empty() {
            filter.insert("$and", all);
        }
        let newest_first = doc! { "createdAt": -1, "_id": -1 };
        let found = self.orders.collection().find(filter).sort(newest_first).limit(limit).await?;
        Ok(found.try_collect().await?)
    }

    /// Unpaid orders whose time ran out before `moment`.
    pub async fn overdue(&self, moment: Time) -> store::Result<Vec<OrderId>> {
        let filter = doc! { "unpaid": true, "expiresAt": { "$lt": moment } };
        let orders: Vec<Order> =
            self.orders.collection().find(filter).limit(100).await?.try_collect().await?;
        Ok(orders.into_iter().map(|order| order.id).collect())
    }
}

/// The orders that are in this state for a reader at this moment (see [`Order::status_at`]).
fn at(status: OrderStatus, now: Time) -> Document {
    let name = Bson::from(status.as_str());
    match status {
        OrderStatus::Created | OrderStatus::AwaitingPayment => {
            doc! { "status": name, "expiresAt": { "$gt": now } }
        }
        OrderStatus::Complete => doc! { "status": name },
        OrderStatus::Cancelled => {
            doc! { "$or": [{ "status": name }, { "unpaid": true, "expiresAt": { "$lte": now } }] }
        }
    }
}

fn refused(error: store::Error) -> store::Result<Placed> {
    let index = error.duplicate_of();
    index.as_deref().and_then(Placed::refused_by).ok_or(error)
}
