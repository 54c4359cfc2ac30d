//! All of confirmation's MongoDB: the mails, and the replicas of users and orders.

use bson::doc;
use common::ids::{OrderId, UserId};
use common::{Clock, Time};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};
use store::mongo;
use store::replicas;
use store::{
    Aggregate, Change, Documents, OutboxMessage, RequestIdentity, Result, StoredResponse,
    TimedCollection, Traces,
};

use crate::domain::{Mail, MailId, OrderReplica, Status, UserReplica};

/// How many mails an admin command lists.
const LISTED: i64 = 1000;
/// MongoDB's own index.
const ID_INDEX: &str = "_id_";

impl Aggregate for Mail {
    const COLLECTION: &'static str = "mails";
    const IS_WORKED_ON: bool = true;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn has_unknown_value(&self) -> bool {
        Mail::has_unknown_value(self)
    }

    /// It publishes nothing.
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        Vec::new()
    }

    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

/// The one document that says when the service was first started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Beginning {
    pub at: Time,
}

/// A mail that is to be sent, with what is known of its order and its addressee.
#[derive(Debug)]
pub struct Due {
    pub mail: Mail,
    pub order: Option<OrderReplica>,
    pub user: Option<UserReplica>,
}

#[derive(Clone)]
pub struct Store {
    mails: Documents<Mail>,
    users: TimedCollection<UserReplica>,
    orders: TimedCollection<OrderReplica>,
    beginnings: TimedCollection<Beginning>,
}

impl Store {
    pub async fn open(database: &Database, clock: Clock) -> Result<Store> {
        let indexes = [
            mongo::partial_index(
                "due",
                doc! { "nextRunAt": 1 },
                doc! { "nextRunAt": { "$type": "date" } },
            ),
            mongo::index("by_order", doc! { "order.id": 1, "createdAt": 1 }),
            mongo::partial_index("awaiting", doc! { "userId": 1 }, doc! { "awaitsAddress": true }),
            mongo::index("by_status", doc! { "status": 1, "createdAt": 1 }),
        ];
        Ok(Store {
            mails: Documents::open(database, clock, indexes).await?,
            users: TimedCollection::new(database, "users"),
            orders: TimedCollection::new(database, "orders"),
            beginnings: TimedCollection::new(database, "beginnings"),
        })
    }

    /// The same store for listeners and background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store {
            mails: self.mails.in_background(database),
            users: self.users.in_background(database),
            orders: self.orders.in_background(database),
            beginnings: self.beginnings.in_background(database),
        }
    }

    /// The mails, for the admin commands that every service has.
    pub fn documents(&self) -> &Documents<Mail> {
        &self.mails
    }

    /// When the service was first started, by whichever replica.
    pub async fn began_at(&self, now: Time) -> Result<Time> {
        mongo::when_available(|| async {
            let first = doc! { "$setOnInsert": { "at": now } };
            let beginning = self.beginnings.find_one_and_update(doc! { "_id": "first" }, first);
            let beginning = beginning.upsert(true).return_document(ReturnDocument::After).await?;
            Ok(beginning.map_or(now, |beginning| beginning.at))
        })
        .await
    }

    pub async fn apply_user(&self, user: &UserReplica) -> Result<()> {
        replicas::apply_if_newer(&self.users, &user.id.to_string(), user.version, user).await?;
        Ok(())
    }

    pub async fn user(&self, id: UserId) -> Result<Option<UserReplica>> {
        Ok(self.users.find_one(doc! { "_id": id }).await?)
    }

    pub async fn apply_order(&self, order: &OrderReplica) -> Result<()> {
        replicas::apply_if_newer(&self.orders, &order.id.to_string(), order.version, order).await?;
        Ok(())
    }

    pub async fn apply_orders(&self, orders: &[OrderReplica]) -> Result<()> {
        replicas::apply_all_if_newer(&self.orders, orders).await
    }

    pub async fn order(&self, id: OrderId) -> Result<Option<OrderReplica>> {
        Ok(self.orders.find_one(doc! { "_id": id }).await?)
    }

    /// Writes a mail, unless it is already there: the same event came before.
    pub async fn write(&self, mail: &Mail) -> Result<()> {
        match self.mails.insert(mail, &[]).await {
            Err(error) if error.duplicate_of().as_deref() == Some(ID_INDEX) => Ok(()),
            outcome => outcome,
        }
    }

    /// The same for several mails.
    pub async fn write_all(&self, mails: Vec<Mail>) -> Result<()> {
        let mails = mails.into_iter().map(Change::without_event).collect();
        self.mails.insert_all(mails).await.map(drop)
    }

    /// Runs the work of a request, or returns the response that the same request got before.
    pub async fn run_once(
        &self,
        request: &RequestIdentity,
        work: impl Future<Output = httpkit::Result<StoredResponse>>,
    ) -> httpkit::Result<StoredResponse> {
        self.mails.run_once(request, work).await
    }

    /// Writes the mail that a request asks for. False: another request has written it; decide again.
    pub async fn write_for(
        &self,
        request: &RequestIdentity,
        response: &StoredResponse,
        mail: &Mail,
    ) -> Result<bool> {
        match self.mails.insert_for(request, response, mail, &[]).await {
            Ok(()) => Ok(true),
            Err(error) if error.duplicate_of().as_deref() == Some(ID_INDEX) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn mail(&self, id: &MailId) -> Result<Option<Mail>> {
        self.mails.get(id).await
    }

    /// The mails about an order, the oldest first.
    pub async fn mails_about(&self, order: OrderId) -> Result<Vec<Mail>> {
        let mails = self.mails.collection();
        let found = mails.find(doc! { "order.id": order }).sort(doc! { "createdAt": 1, "_id": 1 });
        Ok(found.await?.try_collect().await?)
    }

    /// The traces in which these changed last.
    pub async fn traces_of(&self, mails: &[Mail]) -> Traces {
        self.mails.traces(mails.iter().map(|mail| &mail.id)).await
    }

    /// At most so many that are due, the longest first.
    pub async fn due(&self, now: Time, limit: usize) -> Result<Vec<Due>> {
        let filter = doc! { "nextRunAt": { "$type": "date", "$lte": now } };
        let mails = self.mails.collection();
        let due = mails.find(filter).sort(doc! { "nextRunAt": 1 });
        let due = due.limit(i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        let due: Vec<Mail> = due.try_collect().await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let orders: Vec<OrderId> =
            due.iter().filter_map(|mail| mail.order.as_ref().map(|order| order.id)).collect();
        let orders = self.orders.find(doc! { "_id": { "$in": orders } }).await?;
        let orders: Vec<OrderReplica> = orders.try_collect().await?;
        let users: Vec<UserId> = due.iter().map(|mail| mail.user_id).collect();
        let users = self.users.find(doc! { "_id": { "$in": users } }).await?;
        let users: Vec<UserReplica> = users.try_collect().await?;
        let due = due.into_iter().map(|mail| Due {
            order: orders
                .iter()
                .find(|known| mail.order.as_ref().is_some_and(|order| order.id == known.id))
                .cloned(),
            user: users.iter().find(|known| known.id == mail.user_id).cloned(),
            mail,
        });
        Ok(due.collect())
    }

    /// The mails to a user whose address was missing.
    pub async fn awaiting(&self, user: UserId) -> Result<Vec<MailId>> {
        let mails = self.mails.collection();
        let awaiting = mails.find(doc! { "userId": user, "awaitsAddress": true }).await?;
        let awaiting: Vec<Mail> = awaiting.try_collect().await?;
        Ok(awaiting.into_iter().map(|mail| mail.id).collect())
    }

    /// Records a fact on whatever the mail has become. Returns the mail after that.
    pub async fn record(
        &self,
        id: &MailId,
        mut edit: impl FnMut(&Mail) -> Option<Change<Mail>>,
    ) -> Result<Option<Mail>> {
        self.mails.change(id, |mail| Ok(edit(mail))).await
    }

    /// As [`Store::record`], beginning with the mail as it was last read.
    pub async fn record_on(
        &self,
        known: &Mail,
        mut edit: impl FnMut(&Mail) -> Option<Change<Mail>>,
    ) -> Result<Option<Mail>> {
        self.mails.change_known(known, |mail| Ok::<_, store::Error>(edit(mail))).await
    }

    /// The mails of a status, the oldest first.
    pub async fn with_status(&self, status: Status) -> Result<Vec<Mail>> {
        let mails = self.mails.collection();
        let found = mails.find(doc! { "status": status.as_str() }).sort(doc! { "createdAt": 1 });
        Ok(found.limit(LISTED).await?.try_collect().await?)
    }

    /// How many mails are still to be sent, and since when the oldest of them is.
    pub async fn backlog(&self) -> Result<(u64, Option<Time>)> {
        let filter = doc! { "status": { "$in": ["queued", "sending"] } };
        let mails = self.mails.collection();
        let count = mails.count_documents(filter.clone()).await?;
        let oldest = mails.find_one(filter).sort(doc! { "createdAt": 1 }).await?;
        Ok((count, oldest.map(|mail| mail.created_at)))
    }
}
