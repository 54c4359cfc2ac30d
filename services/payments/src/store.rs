//! All of payments' MongoDB: one document per order, and Stripe's events beside them.

mod sweeps;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bson::doc;
use bus::Failure;
use common::events::RefundRequired;
use common::ids::{OrderId, PaymentId, UserId};
use common::{Clock, Time, events};
use futures::TryStreamExt;
use futures::future::ready;
use mongodb::options::{Hint, IndexOptions};
use mongodb::{Database, IndexModel};
use quick_cache::sync::Cache;
use store::{Change, Documents, GroupCommit, RequestIdentity, TimedCollection, mongo};

use crate::domain::{
    CardToken, EventSweep, Limits, OrderPayment, PARKED_AFTER, PaymentRefusal, RequestOutcome,
    WebhookEvent,
};
use crate::waiting::{Changes, Subscription};

/// How many due payments are loaded at once.
const BATCH: i64 = 64;
/// How many payments are remembered, of some kilobytes each: a buyer pays soon after the reservation.
const RECENT: usize = 512;

#[derive(Clone)]
pub struct Store {
    documents: Documents<OrderPayment>,
    webhooks: TimedCollection<WebhookEvent>,
    /// Those that come at once are written together.
    received: GroupCommit,
    sweeps: TimedCollection<EventSweep>,
    changes: Changes,
    /// What this process has written lately: perhaps not the latest.
    recent: Arc<Cache<OrderId, OrderPayment>>,
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
                "by_intent",
                doc! { "charge.intent": 1 },
                doc! { "charge.intent": { "$type": "string" } },
            ),
            mongo::partial_index(
                "awaiting_action",
                doc! { "charge.status": 1, "_id": 1 },
                doc! { "charge.status": "action_required" },
            ),
            mongo::partial_index(
                "declines_of_buyer",
                doc! { "order.buyerId": 1, "charge.declinedAt": 1 },
                doc! { "charge.declinedAt.0": { "$exists": true } },
            ),
            mongo::partial_index(
                "work",
                doc! { "workAt": 1 },
                doc! { "workAt": { "$type": "date" } },
            ),
            mongo::partial_index(
                "parked",
                doc! { "failures": 1 },
                doc! { "failures": { "$gte": i64::from(PARKED_AFTER) } },
            ),
        ];
        let webhooks = TimedCollection::new(database, "webhooks");
        let sweeps = TimedCollection::new(database, "sweeps");
        mongo::when_available(|| async {
            webhooks.create_indexes(webhook_indexes()).await?;
            Ok(())
        })
        .await?;
        let documents = Documents::open(database, clock, indexes).await?;
        let received = GroupCommit::start(&webhooks.clone_with_type());
        let recent = Arc::new(Cache::new(RECENT));
        Ok(Store { documents, webhooks, received, sweeps, changes: Changes::default(), recent })
    }

    /// The same store for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        Store {
            documents: self.documents.in_background(database),
            webhooks: self.webhooks.in_background(database),
            received: self.received.clone(),
            sweeps: self.sweeps.in_background(database),
            changes: self.changes.clone(),
            recent: Arc::clone(&self.recent),
        }
    }

    /// The documents, for the relay and the admin CLI.
    pub fn documents(&self) -> &Documents<OrderPayment> {
        &self.documents
    }

    /// What this process writes from now on, of this order's payment.
    pub fn subscribe(&self, order: OrderId) -> Subscription {
        self.changes.subscribe(order)
    }

    /// This process has written a payment.
    fn publish(&self, payment: &OrderPayment) {
        self.recent.insert(payment.order_id, payment.clone());
        self.changes.publish(payment);
    }

    /// An order's payment as this process wrote it last: to begin a change with, which notices if another has written since.
    pub fn recent(&self, order: OrderId) -> Option<OrderPayment> {
        self.recent.get(&order)
    }

    pub async fn find(&self, order: OrderId) -> store::Result<Option<OrderPayment>> {
        self.documents.get(order).await
    }

    pub async fn find_by_payment(&self, id: PaymentId) -> store::Result<Option<OrderPayment>> {
        Ok(self.documents.collection().find_one(doc! { "charge.id": id }).await?)
    }

    /// The payments of these PaymentIntents, as far as they are ours.
    pub async fn find_by_intents(&self, intents: &[&str]) -> store::Result<Vec<OrderPayment>> {
        if intents.is_empty() {
            return Ok(Vec::new());
        }
        let ours = doc! { "charge.intent": { "$in": intents, "$type": "string" } };
        Ok(self.documents.collection().find(ours).await?.try_collect().await?)
    }

    /// When cards of this buyer were declined since then, for whichever order.
    pub async fn declines(&self, buyer: UserId, since: Time) -> store::Result<Vec<Time>> {
        let declined = doc! {
            "order.buyerId": buyer,
            "charge.declinedAt": { "$gt": since },
            "charge.declinedAt.0": { "$exists": true },
        };
        let payments = self.documents.collection();
        let found = payments.find(declined).hint(Hint::Name("declines_of_buyer".to_owned()));
        let found: Vec<OrderPayment> = found.await?.try_collect().await?;
        let times = found.into_iter().filter_map(|found| found.payment);
        let times = times.flat_map(|payment| payment.declined_at);
        Ok(times.filter(|at| *at > since).collect())
    }

    /// The orders whose payment waits for the buyer's bank, in the order of their ids, after this one.
    pub async fn awaiting_action(&self, after: Option<OrderId>) -> store::Result<Vec<OrderId>> {
        let mut waiting = doc! { "charge.status": "action_required" };
        if let Some(after) = after {
            waiting.insert("_id", doc! { "$gt": after });
        }
        let payments = self.documents.collection();
        let waiting = payments.find(waiting).sort(doc! { "_id": 1 }).limit(BATCH).await?;
        let waiting: Vec<OrderPayment> = waiting.try_collect().await?;
        Ok(waiting.into_iter().map(|payment| payment.order_id).collect())
    }

    /// Payments with a PaymentIntent, in the order of their orders' ids, after this one.
    pub async fn with_intent(&self, after: OrderId) -> store::Result<Vec<OrderPayment>> {
        let has_intent = doc! { "_id": { "$gt": after }, "charge.intent": { "$type": "string" } };
        let payments = self.documents.collection();
        let found = payments.find(has_intent).sort(doc! { "_id": 1 }).hint(by_id()).limit(BATCH);
        Ok(found.await?.try_collect().await?)
    }

    /// The payments that have failed too often, the most often first.
    pub async fn parked(&self) -> store::Result<Vec<OrderPayment>> {
        let parked = doc! { "failures": { "$gte": i64::from(PARKED_AFTER) } };
        let payments = self.documents.collection();
        let parked = payments.find(parked).sort(doc! { "failures": -1 }).await?;
        Ok(parked.try_filter(|payment| ready(payment.is_parked())).try_collect().await?)
    }

    /// An operator declares a parked payment as settled. None: there is no such order.
    pub async fn settle(
        &self,
        order: OrderId,
        reason: &str,
        limits: Limits,
        now: Time,
    ) -> anyhow::Result<Option<OrderPayment>> {
        let settle = |payment: &OrderPayment| -> anyhow::Result<_> {
            Ok(Some(payment.settle(reason, limits, now)?))
        };
        self.documents.change(order, settle).await
    }

    /// Stores a webhook, unless it came before.
    pub async fn insert_webhook(&self, event: &WebhookEvent) -> store::Result<()> {
        match self.received.insert(mongo::document(event)?).await {
            Err(error) if error.duplicate_of().is_none() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The webhooks that are to be worked on.
    pub async fn due_webhooks(&self, now: Time) -> store::Result<Vec<WebhookEvent>> {
        let due = doc! { "nextRunAt": { "$type": "date", "$lte": now } };
        let due = self.webhooks.find(due).sort(doc! { "nextRunAt": 1 }).limit(BATCH).await?;
        Ok(due.try_collect().await?)
    }

    /// They are done. Returns of how many this is news: another process may have been faster.
    pub async fn finish_webhooks(&self, events: &[WebhookEvent]) -> store::Result<u64> {
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let waiting = doc! { "_id": { "$in": ids }, "nextRunAt": { "$type": "date" } };
        let done = doc! { "$set": { "nextRunAt": null } };
        Ok(self.webhooks.update_many(waiting, done).await?.modified_count)
    }

    /// It is worked on again at this time, unless another process was faster.
    pub async fn postpone_webhook(&self, event: &WebhookEvent, until: Time) -> store::Result<()> {
        let as_read = doc! { "_id": &event.id, "nextRunAt": event.next_run_at };
        let later = doc! { "$set": { "nextRunAt": until, "failures": event.failures + 1 } };
        self.webhooks.update_one(as_read, later).await?;
        Ok(())
    }

    /// The payments that are due for the background worker.
    pub async fn find_due(&self, now: Time) -> store::Result<Vec<OrderPayment>> {
        let filter = doc! { "workAt": { "$type": "date", "$lte": now } };
        let payments = self.documents.collection();
        let due = payments.find(filter).sort(doc! { "workAt": 1 }).limit(BATCH).await?;
        Ok(due.try_collect().await?)
    }

    /// Refuses (422) a key that was used for another request. This check comes before all others.
    pub async fn check_key(&self, request: &RequestIdentity) -> httpkit::Result<()> {
        self.documents.stored_request::<Option<RequestOutcome>>(request).await?;
        Ok(())
    }

    /// The payments of these orders, to begin changes with (see [`Store::recent`]): what this process hasn't written lately is
    /// read.
    pub async fn recent_or_stored(
        &self,
        orders: &[events::Order],
    ) -> store::Result<Vec<OrderPayment>> {
        let (mut payments, mut unknown) = (Vec::new(), Vec::new());
        for order in orders {
            match self.recent(order.id) {
                Some(payment) => payments.push(payment),
                None => unknown.push(order.id),
            }
        }
        payments.extend(self.documents.get_all(unknown.into_iter()).await?);
        Ok(payments)
    }

    /// Applies an order's state, if it is newer than the known one, which may have been read before. With a lease for this process, if it takes one and a step
    /// follows that no other process executes; returns whether it has one.
    pub async fn follow(
        &self,
        order: &events::Order,
        known: Option<&OrderPayment>,
        takes_lease: bool,
        limits: Limits,
        now: Time,
    ) -> Result<(OrderPayment, bool), Failure> {
        let mut is_leased = false;
        let mut follow = |known: &OrderPayment| {
            let change = known.follow(order, takes_lease, limits, now);
            let next = change.as_ref().map(|change| &change.thing);
            is_leased = known.next_run_at.is_none() && next.is_some_and(|next| next.is_leased(now));
            Ok::<_, Failure>(change)
        };
        let changed = match known {
            Some(known) => self.documents.change_known(known, &mut follow).await?,
            None => None,
        };
        let payment = match changed {
            Some(payment) => payment,
            None => self.documents.change_or_insert(&OrderPayment::new(order), &mut follow).await?,
        };
        self.publish(&payment);
        Ok((payment, is_leased))
    }

    /// Stores the replicas of new orders. Returns the orders that aren't new.
    pub async fn insert_orders(
        &self,
        orders: Vec<events::Order>,
    ) -> store::Result<Vec<events::Order>> {
        let new: Vec<OrderPayment> = orders.iter().map(OrderPayment::new).collect();
        let inserts = new.iter().cloned().map(Change::without_event).collect();
        let known = self.documents.insert_all(inserts).await?;
        let known: Vec<OrderId> = known.iter().map(|change| change.thing.order_id).collect();
        for payment in new.into_iter().filter(|new| !known.contains(&new.order_id)) {
            self.recent.insert(payment.order_id, payment);
        }
        Ok(orders.into_iter().filter(|order| known.contains(&order.id)).collect())
    }

    /// Begins an attempt, unless the request is a repeat, or the buyer has to `wait` before they try another card. None: there is
    /// no such order.
    pub async fn begin_attempt(
        &self,
        known: &OrderPayment,
        request: &RequestIdentity,
        token: &CardToken,
        limits: Limits,
        wait: Option<Duration>,
        clock: &Clock,
    ) -> httpkit::Result<Option<Begun>> {
        let mut is_new = false;
        let begin = |payment: &OrderPayment| -> httpkit::Result<_> {
            let change = payment.begin_attempt_for(request, token, limits, clock.now())?;
            is_new = change.is_some();
            match wait {
                Some(wait) if is_new => Err(PaymentRefusal::TooManyCards(wait).into()),
                Some(_) | None => Ok(change),
            }
        };
        let begun = self.documents.change_known(known, begin).await?;
        Ok(begun.map(|payment| if is_new { Begun::New(payment) } else { Begun::Repeat(payment) }))
    }

    /// Begins the refund, unless the request is a repeat. None: there is no such order.
    pub async fn begin_refund(
        &self,
        order: OrderId,
        request: &RequestIdentity,
        relist: bool,
        limits: Limits,
        now: Time,
    ) -> httpkit::Result<Option<OrderPayment>> {
        let begin =
            |payment: &OrderPayment| Ok(payment.begin_refund_for(request, relist, limits, now)?);
        self.documents.change(order, begin).await
    }

    /// Records that orders can't honour the payment. If it was released or refunded and orders asks again, that is
    /// published again.
    pub async fn require_refund(
        &self,
        required: &RefundRequired,
        limits: Limits,
        now: Time,
    ) -> Result<(), Failure> {
        let begin = |payment: &OrderPayment| {
            // The payment may have been lost by a restore: then it is known once Stripe's result is retrieved.
            let change = payment.refund_required(required, limits, now);
            change
                .with_context(|| format!("payment {}", required.payment_id))
                .map_err(Failure::Transient)
        };
        let payment = self.documents.change(required.order_id, begin).await?;
        let payment = payment.ok_or_else(|| unknown_order(required.order_id))?;
        if required.reminder && payment.has_returned(required) {
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
        self.recorded(order, recorded.await?)
    }

    /// As [`Store::record`], beginning with the document as it was last read.
    pub async fn record_on(
        &self,
        known: &OrderPayment,
        mut decide: impl FnMut(&OrderPayment) -> Option<Change<OrderPayment>>,
    ) -> Result<OrderPayment, Failure> {
        let decide = |payment: &OrderPayment| Ok::<_, Failure>(decide(payment));
        let recorded = self.documents.change_known(known, decide);
        self.recorded(known.order_id, recorded.await?)
    }

    fn recorded(
        &self,
        order: OrderId,
        recorded: Option<OrderPayment>,
    ) -> Result<OrderPayment, Failure> {
        let payment = recorded.ok_or_else(|| unknown_order(order))?;
        self.publish(&payment);
        Ok(payment)
    }
}

/// A range of ids is read in its order.
fn by_id() -> Hint {
    Hint::Keys(doc! { "_id": 1 })
}

/// What is due; and how long a webhook is remembered, so that a repetition is recognised: longer than Stripe repeats it.
fn webhook_indexes() -> [IndexModel; 2] {
    const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    let due = mongo::partial_index(
        "due",
        doc! { "nextRunAt": 1 },
        doc! { "nextRunAt": { "$type": "date" } },
    );
    let options = IndexOptions::builder().name("retention".to_owned()).expire_after(RETENTION);
    let retention =
        IndexModel::builder().keys(doc! { "receivedAt": 1 }).options(options.build()).build();
    [due, retention]
}

fn unknown_order(order: OrderId) -> Failure {
    Failure::Transient(anyhow!("order {order} is not known"))
}
