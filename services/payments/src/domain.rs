//! An order's payment and its transitions: pure. What is to be done at Stripe next follows from it in
//! [`crate::steps`].
//!
//! Legal moves: `created` → `processing` → `completed` → `refunding` → `refunded`; a decline goes back to
//! `created`; `created` → `failed` by Stripe's word that the PaymentIntent is canceled. What Stripe says
//! is a fact: it is written onto whatever the document has become.

mod parts;
mod refunding;
mod requests;
mod retold;
mod work;

use std::time::Duration;

use common::events::{self, CancelReason, FailedPayment, OrderStatus, PaymentFailed};
use common::ids::{OrderId, PaymentId};
use common::permissions::Owners;
use common::{Time, problem};
use httpkit::Error;
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage, StoredRequest};

pub use parts::{Attempt, Charge, Order, Refund, Status};
pub use refunding::NotPaid;
pub use requests::{End, Progress};
pub use work::RENEWAL;

/// No payment is begun in the last second of a hold: it would be known too late.
const CUT_OFF: Duration = Duration::from_secs(1);

/// An order as payments knows it, and its one payment, in one document: an attempt is claimed by an
/// update that sees both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    #[serde(rename = "_id")]
    pub order_id: OrderId,
    pub version: i64,
    pub order: Order,
    /// None until the buyer first pays.
    pub charge: Option<Charge>,
    /// When the worker is to look at it; none while there is nothing to do at Stripe.
    pub work_at: Option<Time>,
    /// How often in a row Stripe could not be asked; for the back-off.
    pub failures: i64,
    /// The requests of the last day that wrote it, and their answers. (Older documents have none.)
    #[serde(default)]
    pub requests: Vec<StoredRequest<Option<End>>>,
}

impl Aggregate for Payment {
    const COLLECTION: &'static str = "payments";
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

impl Payment {
    /// The replica of an order that is told of for the first time, in whatever state.
    pub fn of(order: &events::Order) -> Payment {
        Payment {
            order_id: order.id,
            version: 1,
            order: Order::of(order),
            charge: None,
            work_at: None,
            failures: 0,
            requests: Vec::new(),
        }
    }

    /// The order has changed. None: this is older than what is known.
    pub fn follow(
        &self,
        order: &events::Order,
        attempts: i64,
        now: Time,
    ) -> Option<Change<Payment>> {
        (order.version > self.order.version).then(|| {
            let mut payment = self.next();
            payment.order = Order::of(order);
            if let (Some(CancelReason::Refunded), Some(charge)) =
                (order.cancel_reason, &mut payment.charge)
            {
                charge.recall_refund();
            }
            let payment = payment.due(attempts, now);
            // Who is at it already goes on, and sees the order's new state at its next step.
            let work_at = payment.work_at.map(|due| self.work_at.unwrap_or(due));
            Change::without_event(Payment { work_at, ..payment })
        })
    }

    /// The buyer pays: an attempt begins, if the order lives and no other is under way.
    pub fn claim(&self, token: &str, attempts: i64, now: Time) -> Result<Change<Payment>, Error> {
        self.refusal(attempts, now)?;
        let mut payment = self.next();
        let mut charge = payment.charge.take().unwrap_or_else(|| Charge {
            id: PaymentId::new(now),
            created_at: now,
            status: Status::Created,
            intent: None,
            intent_key: 1,
            attempt: None,
            attempt_key: 0,
            declines: 0,
            last_decline: None,
            last_charge: None,
            refund: None,
        });
        charge.attempt_key += 1;
        charge.status = Status::Processing;
        charge.attempt = Some(Attempt {
            key: charge.attempt_key,
            token: token.to_owned(),
            method: token.starts_with("pm_").then(|| token.to_owned()),
            sent: false,
            ask: false,
        });
        payment.charge = Some(charge);
        payment.failures = 0;
        Ok(Change::without_event(payment.leased(now)))
    }

    /// Why nothing may be charged now, as the buyer is told it.
    pub fn refusal(&self, attempts: i64, now: Time) -> Result<(), Error> {
        let refused = |problem, detail: &str| Err(Error::refused(problem, detail));
        let failed = || {
            refused(&problem::PAYMENT_FAILED, "Too many cards were declined; the order has ended.")
        };
        if let Some(charge) = &self.charge {
            match charge.status {
                Status::Processing => {
                    return refused(
                        &problem::PAYMENT_IN_PROGRESS,
                        "A payment is under way. Don't pay again.",
                    );
                }
                Status::Completed => {
                    return refused(&problem::ALREADY_PAID, "The order is paid already.");
                }
                Status::Refunding | Status::Refunded => {
                    return refused(
                        &problem::ORDER_CANCELLED,
                        "The order has ended; what was paid is given back.",
                    );
                }
                Status::Failed => return failed(),
                Status::Created if charge.declines >= attempts => return failed(),
                Status::Created => {}
            }
        }
        let expired = || refused(&problem::ORDER_EXPIRED, "The hold has run out.");
        match (self.order.status, self.order.cancel_reason) {
            (OrderStatus::Complete, _) => {
                refused(&problem::ALREADY_PAID, "The order is paid already.")
            }
            (OrderStatus::Cancelled, Some(CancelReason::Expired)) => expired(),
            (OrderStatus::Cancelled, _) => {
                refused(&problem::ORDER_CANCELLED, "The order is cancelled.")
            }
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _)
                if !self.takes_payment(now) =>
            {
                expired()
            }
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => Ok(()),
        }
    }

    /// Whether a charge may still be begun: the order is live and unpaid, and there is time to know.
    pub fn takes_payment(&self, now: Time) -> bool {
        match self.order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                now < self.order.expires_at - CUT_OFF
            }
            OrderStatus::Complete | OrderStatus::Cancelled => false,
        }
    }

    /// The PaymentIntent is made; it is stored before anything is charged to it.
    pub fn intent_made(&self, intent: &str, now: Time) -> Option<Change<Payment>> {
        self.with_charge(now, |charge| {
            charge.intent.is_none().then(|| charge.intent = Some(intent.to_owned()))
        })
    }

    /// Stripe failed while the PaymentIntent was made: the next one is made under a new key. The failed
    /// one, should it exist, is never confirmed.
    pub fn intent_key_spent(&self, key: i64, now: Time) -> Option<Change<Payment>> {
        self.with_charge(now, |charge| (charge.intent_key == key).then(|| charge.intent_key += 1))
    }

    pub fn method_made(&self, key: i64, method: &str, now: Time) -> Option<Change<Payment>> {
        self.with_attempt(key, now, |charge| {
            let attempt = charge.attempt.as_mut()?;
            attempt.method = Some(method.to_owned());
            Some(())
        })
    }

    /// The confirmation is about to be sent. None: it was, or it may not be any more.
    pub fn sending(&self, key: i64, now: Time) -> Option<Change<Payment>> {
        let in_time = self.takes_payment(now);
        self.with_attempt(key, now, |charge| {
            let attempt = charge.attempt.as_mut()?;
            (!attempt.sent && in_time).then(|| attempt.sent = true)
        })
    }

    /// Whether this attempt is under way, and written down as sent: only such a one is.
    pub fn is_sent(&self, key: i64) -> bool {
        self.attempt().is_some_and(|attempt| attempt.key == key && attempt.sent)
    }

    /// Stripe answered, but not what became of the card: it must be asked before anything is sent again.
    pub fn must_ask(&self, key: i64, now: Time) -> Option<Change<Payment>> {
        let change = self.with_attempt(key, now, |charge| {
            let attempt = charge.attempt.as_mut()?;
            (!attempt.ask).then(|| attempt.ask = true)
        })?;
        Some(Change::without_event(Payment { failures: self.failures + 1, ..change.thing }))
    }

    /// Asked, Stripe says that nothing happened under this key: the same card again under a new one.
    pub fn attempt_key_spent(&self, key: i64, now: Time) -> Option<Change<Payment>> {
        self.with_attempt(key, now, |charge| {
            charge.attempt_key += 1;
            let attempt = charge.attempt.as_mut()?;
            (attempt.key, attempt.sent, attempt.ask) = (charge.attempt_key, false, false);
            Some(())
        })
    }

    /// The attempt ends with nothing charged and nothing declined.
    pub fn given_up(&self, key: i64, attempts: i64, now: Time) -> Option<Change<Payment>> {
        let change = self.with_attempt(key, now, |charge| {
            charge.status = Status::Created;
            charge.attempt = None;
            Some(())
        })?;
        Some(Change::without_event(change.thing.due(attempts, now).ended(None)))
    }

    /// The attempt ends before it was sent. None: it was, by someone else who is at it.
    pub fn given_up_unsent(&self, key: i64, attempts: i64, now: Time) -> Option<Change<Payment>> {
        if self.is_sent(key) { None } else { self.given_up(key, attempts, now) }
    }

    /// Stripe: the card was declined.
    pub fn declined(
        &self,
        key: i64,
        code: &str,
        charged: Option<&str>,
        attempts: i64,
        now: Time,
    ) -> Option<Change<Payment>> {
        let change = self.with_attempt(key, now, |charge| {
            charge.status = Status::Created;
            charge.attempt = None;
            charge.declines += 1;
            charge.last_decline = Some(code.to_owned());
            charge.last_charge = charged.map(str::to_owned).or(charge.last_charge.take());
            Some(())
        })?;
        let payment = change.thing.due(attempts, now);
        let event = PaymentFailed(payment.failed_event(false)?);
        let attempts_left = (attempts - event.0.attempt).max(0);
        let end = End::Declined { code: code.to_owned(), attempts_left };
        Some(Change::with_event(payment.ended(Some(end)), &event))
    }

    /// Stripe: the PaymentIntent has succeeded. A fact, whatever the order has become.
    pub fn succeeded(&self, now: Time) -> Option<Change<Payment>> {
        let change = self.with_charge(now, |charge| match charge.status {
            Status::Created | Status::Processing | Status::Failed => {
                charge.status = Status::Completed;
                charge.attempt = None;
                Some(())
            }
            Status::Completed | Status::Refunding | Status::Refunded => None,
        })?;
        let payment = Payment { work_at: None, ..change.thing };
        let event = payment.created_event(payment.charge.as_ref()?)?;
        let end = End::Paid { version: payment.version };
        Some(Change::with_event(payment.ended(Some(end)), &event))
    }

    /// Stripe: the PaymentIntent is canceled and can't succeed any more.
    pub fn canceled(&self, now: Time) -> Option<Change<Payment>> {
        let change = self.with_charge(now, |charge| match charge.status {
            Status::Created | Status::Processing => {
                charge.status = Status::Failed;
                charge.attempt = None;
                Some(())
            }
            Status::Completed | Status::Refunding | Status::Refunded | Status::Failed => None,
        })?;
        let payment = Payment { work_at: None, ..change.thing };
        let event = PaymentFailed(payment.failed_event(true)?);
        Some(Change::with_event(payment.ended(None), &event))
    }

    pub fn owners(&self) -> Owners {
        Owners { seller: self.order.seller_id, buyer: Some(self.order.buyer_id) }
    }

    fn failed_event(&self, r#final: bool) -> Option<FailedPayment> {
        let charge = self.charge.as_ref()?;
        Some(FailedPayment {
            id: charge.id,
            order_id: self.order_id,
            attempt: charge.declines,
            r#final,
            version: self.version,
        })
    }

    fn attempt(&self) -> Option<&Attempt> {
        self.charge.as_ref()?.attempt.as_ref()
    }

    fn next(&self) -> Payment {
        Payment { version: self.version + 1, ..self.clone() }
    }

    /// One edit of the charge, if `edit` finds that it applies.
    fn with_charge(
        &self,
        now: Time,
        edit: impl FnOnce(&mut Charge) -> Option<()>,
    ) -> Option<Change<Payment>> {
        let mut payment = self.next();
        edit(payment.charge.as_mut()?)?;
        Some(Change::without_event(payment.leased(now)))
    }

    /// One edit of the attempt with this key, if it is the one under way.
    fn with_attempt(
        &self,
        key: i64,
        now: Time,
        edit: impl FnOnce(&mut Charge) -> Option<()>,
    ) -> Option<Change<Payment>> {
        self.with_charge(now, |charge| {
            let under_way = charge.attempt.as_ref().is_some_and(|attempt| attempt.key == key);
            if under_way { edit(charge) } else { None }
        })
    }
}
