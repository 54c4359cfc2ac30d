//! An order's payment and its transitions: pure.
//!
//! Legal moves: `created` → `processing` → `completed` → `refunding` → `refunded`; a decline leads back to `created`;
//! `created` → `failed` once Stripe has cancelled the PaymentIntent. A result from Stripe is a fact: it is applied to
//! whatever the document has become (`outcomes`). The next Stripe step follows from the document (`steps`).

mod attempt;
mod card_token;
mod numbers;
mod outcomes;
mod payment;
mod refunding;
mod refusal;
mod requests;
mod snapshot;
mod steps;
mod stripe;
mod work;

use std::time::Duration;

use common::Time;
use common::events::{
    self, CancelReason, OrderStatus, PaymentCreated, PaymentFailed, PaymentRefunded,
};
use common::ids::OrderId;
use common::permissions::Owners;
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage, StoredRequest};

pub use card_token::{CardToken, InvalidCardToken};
pub use numbers::{AttemptNumber, IntentNumber, Limits, RefundNumber, Version};
pub use outcomes::{Next, Transition};
pub use payment::{Attempt, OrderReplica, Payment, Refund, Status};
pub use refusal::{NotPaid, PaymentRefusal, RefundRefusal};
pub use requests::{Progress, RequestOutcome};
pub use steps::Step;
pub use stripe::{GatewayError, IntentState, RefundState, Refunds, StripeResult, Total};
pub use work::RENEWAL;

/// No payment is started in the last second of a reservation: its outcome would be known too late.
const CUT_OFF: Duration = Duration::from_secs(1);

/// The replica of an order and its one payment, in one document: an attempt begins by an update that sees both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPayment {
    #[serde(rename = "_id")]
    pub order_id: OrderId,
    pub version: Version,
    pub order: OrderReplica,
    /// None until the buyer first pays.
    #[serde(rename = "charge")]
    pub payment: Option<Payment>,
    /// When the background worker next executes its steps; none while there is nothing to do at Stripe.
    #[serde(rename = "workAt")]
    pub next_run_at: Option<Time>,
    /// How many attempts to reach Stripe have failed in a row; for the back-off.
    pub failures: i64,
    /// The requests of the last day that wrote the document, and their outcomes. (Older documents have none.)
    #[serde(default)]
    pub requests: Vec<StoredRequest<Option<RequestOutcome>>>,
}

impl Aggregate for OrderPayment {
    const COLLECTION: &'static str = "payments";
    const OBLIGES: bool = true;
    fn id(&self) -> String {
        self.order_id.to_string()
    }
    fn version(&self) -> i64 {
        self.version.get()
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.snapshot_event().into_iter().collect()
    }
    /// orders answers a charge (the order is complete, or a refund is required), and ends a complete order whose payment
    /// is refunded. An unpaid order ends by itself, whether or not it learns that its payment has failed.
    fn unanswered(&self) -> Option<OutboxMessage> {
        let payment = self.payment.as_ref()?;
        let is_complete = match self.order.status {
            OrderStatus::Complete => true,
            OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Cancelled
            | OrderStatus::Unknown => false,
        };
        match payment.status {
            Status::Completed if !is_complete => {
                let PaymentCreated(event) = self.created_event(payment)?;
                let event = events::Payment { reminder: true, ..event };
                Some(OutboxMessage::of(&PaymentCreated(event)))
            }
            Status::Refunded if is_complete => {
                let PaymentRefunded(event) = self.refunded_event(payment)?;
                let event = events::Refund { reminder: true, ..event };
                Some(OutboxMessage::of(&PaymentRefunded(event)))
            }
            Status::Completed
            | Status::Refunded
            | Status::Created
            | Status::Processing
            | Status::Refunding
            | Status::Failed
            | Status::Unknown => None,
        }
    }
    fn has_unknown_value(&self) -> bool {
        let is_unknown = |request: &StoredRequest<Option<RequestOutcome>>| {
            request.response.as_ref().is_some_and(RequestOutcome::is_unknown)
        };
        self.order.status == OrderStatus::Unknown
            || self.order.cancel_reason == Some(CancelReason::Unknown)
            || self.payment.as_ref().is_some_and(|payment| payment.status == Status::Unknown)
            || self.requests.iter().any(is_unknown)
    }
    fn bump_version(&mut self, by: i64) {
        self.version = self.version + by;
    }
}

impl OrderPayment {
    /// The replica of an order whose first event this is, whatever its status.
    pub fn new(order: &events::Order) -> OrderPayment {
        OrderPayment {
            order_id: order.id,
            version: Version::FIRST,
            order: OrderReplica::of(order),
            payment: None,
            next_run_at: None,
            failures: 0,
            requests: Vec::new(),
        }
    }

    /// Applies a newer state of the order. None: the known state is as new.
    pub fn follow(
        &self,
        order: &events::Order,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        (order.version > self.order.version.get()).then(|| {
            let mut next = self.next();
            next.order = OrderReplica::of(order);
            if let (Some(CancelReason::Refunded), Some(payment)) =
                (order.cancel_reason, &mut next.payment)
            {
                payment.recover_refund(next.order.amount);
            }
            let next = next.schedule(limits, now);
            // A process that is executing steps continues, and sees the order's new state at its next step.
            let next_run_at = next.next_run_at.map(|due| self.next_run_at.unwrap_or(due));
            Change::without_event(OrderPayment { next_run_at, ..next })
        })
    }

    /// Whether a charge may still be started: the order is live and unpaid, and enough time is left to learn its
    /// outcome.
    pub fn accepts_payment(&self, now: Time) -> bool {
        match self.order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                now < self.order.expires_at - CUT_OFF
            }
            OrderStatus::Complete | OrderStatus::Cancelled | OrderStatus::Unknown => false,
        }
    }

    /// Stripe's result: the PaymentIntent has succeeded. A fact, whatever the order has become.
    pub fn record_success(&self, now: Time) -> Option<Change<OrderPayment>> {
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Created | Status::Processing | Status::Failed => {
                payment.status = Status::Completed;
                payment.attempt = None;
                Some(())
            }
            Status::Completed | Status::Refunding | Status::Refunded | Status::Unknown => None,
        })?;
        let next = OrderPayment { next_run_at: None, ..change.thing };
        let event = next.created_event(next.payment.as_ref()?)?;
        let outcome = RequestOutcome::Paid { version: next.version };
        Some(Change::with_event(next.finish_request(Some(outcome)), &event))
    }

    /// Stripe's result: the PaymentIntent is cancelled and can't succeed any more.
    pub fn record_cancellation(&self, now: Time) -> Option<Change<OrderPayment>> {
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Created | Status::Processing => {
                payment.status = Status::Failed;
                payment.attempt = None;
                Some(())
            }
            Status::Completed
            | Status::Refunding
            | Status::Refunded
            | Status::Failed
            | Status::Unknown => None,
        })?;
        let next = OrderPayment { next_run_at: None, ..change.thing };
        let event = PaymentFailed(next.failed_event(true)?);
        Some(Change::with_event(next.finish_request(None), &event))
    }

    pub fn owners(&self) -> Owners {
        Owners { seller: self.order.seller_id, buyer: Some(self.order.buyer_id) }
    }

    fn next(&self) -> OrderPayment {
        OrderPayment { version: self.version + 1, ..self.clone() }
    }

    /// One edit of the payment, if `edit` finds that it applies.
    fn edit_payment(
        &self,
        now: Time,
        edit: impl FnOnce(&mut Payment) -> Option<()>,
    ) -> Option<Change<OrderPayment>> {
        let mut next = self.next();
        edit(next.payment.as_mut()?)?;
        Some(Change::without_event(next.lease(now)))
    }
}
