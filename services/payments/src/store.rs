//! All of payments' MongoDB: one collection, one document an order.

use bson::doc;
use bus::Failure;
use common::ids::{OrderId, PaymentId};
use common::{Clock, Time, events};
use futures::TryStreamExt;
use httpkit::idempotency::RequestIdentity;
use mongodb::Database;
use store::{Documents, mongo};

use crate::domain::{End, Payment};

#[derive(Clone)]
pub struct Store {
    pub payments: Documents<Payment>,
}

impl Store {
    pub async fn open(database: &Database, clock: Clock) -> store::Result<Store> {
        let paid = doc! { "charge.id": { "$exists": true } };
        let indexes = [
            mongo::unique_index("by_payment", doc! { "charge.id": 1 }, Some(paid)),
            mongo::partial_index(
                "work",
                doc! { "workAt": 1 },
                doc! { "workAt": { "$type": "date" } },
            ),
        ];
        let payments = Documents::open(database, clock, indexes).await?;
        Ok(Store { payments })
    }

    /// Refuses (422) a key that was used for another request, whatever else there is to say of this one.
    pub async fn check(&self, key: &RequestIdentity) -> httpkit::Result<()> {
        self.payments.stored_request::<Option<End>>(key).await?;
        Ok(())
    }

    pub async fn by_payment(&self, id: PaymentId) -> store::Result<Option<Payment>> {
        Ok(self.payments.collection().find_one(doc! { "charge.id": id }).await?)
    }

    /// Takes over an order's state, if it is newer than what is known.
    pub async fn follow(
        &self,
        order: &events::Order,
        attempts: i64,
        now: Time,
    ) -> Result<Payment, Failure> {
        let follow = |known: &Payment| Ok(known.follow(order, attempts, now));
        self.payments.change_or_insert(&Payment::of(order), follow).await
    }

    /// Orders at which something is to be done at Stripe by now.
    pub async fn due(&self, now: Time) -> store::Result<Vec<OrderId>> {
        let filter = doc! { "workAt": { "$type": "date", "$lte": now } };
        let due =
            self.payments.collection().find(filter).sort(doc! { "workAt": 1 }).limit(64).await?;
        let due: Vec<Payment> = due.try_collect().await?;
        Ok(due.into_iter().map(|payment| payment.order_id).collect())
    }
}
