//! All of payments' MongoDB: one collection, one document per order.

use anyhow::{Context, anyhow};
use bson::doc;
use bus::Failure;
use common::events::RefundRequired;
use common::ids::{OrderId, PaymentId};
use common::{Clock, Time, events};
use futures::TryStreamExt;
use mongodb::Database;
use store::{Change, Documents, RequestIdentity, mongo};

use crate::domain::{CardToken, Limits, OrderPayment, RequestOutcome};

/// How many due payments are loaded at once.
const BATCH: i64 = 64;

#[derive(Clone)]
pub struct Store {
    documents: Documents<OrderPayment>,
}

/// How a request to pay was stored.
pub enum Begun {
    /// It has begun an attempt.
    New(OrderPayment),
    /// The same request came before.
    Repeat(OrderPayment),
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
        Ok(Store { documents: Documents::open(database, clock, indexes).await? })
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store { documents: self.documents.in_background(database) }
    }

    /// The documents, for the relay and the admin CLI.
    pub fn documents(&self) -> &Documents<OrderPayment> {
        &self.documents
    }

    pub async fn find(&self, order: OrderId) -> store::Result<Option<OrderPayment>> {
        self.documents.get(order).await
    }

    pub async fn find_by_payment(&self, id: PaymentId) -> store::Result<Option<OrderPayment>> {
        Ok(self.documents.collection().find_one(doc! { "charge.id": id }).await?)
    }

    /// The orders whose payment is due for the background worker.
    pub async fn find_due(&self, now: Time) -> store::Result<Vec<OrderId>> {
        let filter = doc! { "workAt": { "$type": "date", "$lte": now } };
        let payments = self.documents.collection();
        let due = payments.find(filter).sort(doc! { "workAt": 1 }).limit(BATCH).await?;
        let due: Vec<OrderPayment> = due.try_collect().await?;
        Ok(due.into_iter().map(|payment| payment.order_id).collect())
    }

    /// Refuses (422) a key that was used for another request. This check comes before all others.
    pub async fn check_key(&self, request: &RequestIdentity) -> httpkit::Result<()> {
        self.documents.stored_request::<Option<RequestOutcome>>(request).await?;
        Ok(())
    }

    /// Applies an order's state, if it is newer than the known one.
    pub async fn follow(
        &self,
        order: &events::Order,
        limits: Limits,
        now: Time,
    ) -> Result<OrderPayment, Failure> {
        let follow = |known: &OrderPayment| Ok(known.follow(order, limits, now));
        self.documents.change_or_insert(&OrderPayment::new(order), follow).await
    }

    /// Begins an attempt, unless the request is a repeat. None: there is no such order.
    pub async fn begin_attempt(
        &self,
        order: OrderId,
        request: &RequestIdentity,
        token: &CardToken,
        limits: Limits,
        clock: &Clock,
    ) -> httpkit::Result<Option<Begun>> {
        let mut is_new = false;
        let begin = |payment: &OrderPayment| -> httpkit::Result<_> {
            let change = payment.begin_attempt_for(request, token, limits, clock.now())?;
            is_new = change.is_some();
            Ok(change)
        };
        let begun = self.documents.change(order, begin).await?;
        Ok(begun.map(|payment| if is_new { Begun::New(payment) } else { Begun::Repeat(payment) }))
    }

    /// Begins the refund, unless the request is a repeat. None: there is no such order.
    pub async fn begin_refund(
        &self,
        order: OrderId,
        request: &RequestIdentity,
        now: Time,
    ) -> httpkit::Result<Option<OrderPayment>> {
        let begin = |payment: &OrderPayment| Ok(payment.begin_refund_for(request, now)?);
        self.documents.change(order, begin).await
    }

    /// Begins the refund that orders requires. If it has succeeded and orders asks again, it is published again.
    pub async fn require_refund(
        &self,
        required: &RefundRequired,
        now: Time,
    ) -> Result<(), Failure> {
        let begin = |payment: &OrderPayment| {
            // The payment may have been lost by a restore: then it is known once Stripe's result is retrieved.
            let change = payment.refund_required(required, now);
            change
                .with_context(|| format!("payment {}", required.payment_id))
                .map_err(Failure::Transient)
        };
        let payment = self.documents.change(required.order_id, begin).await?;
        let payment = payment.ok_or_else(|| unknown_order(required.order_id))?;
        if required.reminder && payment.has_refunded(required) {
            self.documents.answer_again(&payment).await?;
        }
        Ok(())
    }

    /// Loads the payment whose next step is to be executed.
    pub async fn load(&self, order: OrderId) -> Result<OrderPayment, Failure> {
        self.find(order).await?.ok_or_else(|| unknown_order(order))
    }

    /// Applies a fact to whatever the document has become. Returns the document after that.
    pub async fn record(
        &self,
        order: OrderId,
        mut decide: impl FnMut(&OrderPayment) -> Option<Change<OrderPayment>>,
    ) -> Result<OrderPayment, Failure> {
        let recorded = self.documents.change(order, |payment| Ok::<_, Failure>(decide(payment)));
        recorded.await?.ok_or_else(|| unknown_order(order))
    }
}

fn unknown_order(order: OrderId) -> Failure {
    Failure::Transient(anyhow!("order {order} is not known"))
}
