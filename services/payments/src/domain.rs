//! An order's payment and its transitions: pure.
//!
//! Legal moves: `created` → `processing` (→ `action_required`) → `authorised` → `captured` → `refunding` → `refunded`, and
//! `authorised` → `released`; a decline leads back to `created`, the last one to `failed`. What Stripe says is a fact: it
//! is applied to whatever the document has become (`facts`). The next Stripe step follows from the document (`steps`).
//! `docs/protocol.md` has the rules.

mod attempt;
mod capture;
pub mod card_testing;
mod card_token;
mod disputes;
mod facts;
mod numbers;
mod outcomes;
mod parking;
mod payment;
mod reconciling;
mod refunding;
mod refusal;
mod requests;
mod snapshot;
mod steps;
mod stripe;
mod webhook;
mod work;

use std::time::Duration;

use common::Time;
use common::events::{self, CancelReason, DisputeStatus, OrderStatus, Subject};
use common::ids::OrderId;
use common::permissions::Owners;
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage, StoredRequest};

pub use card_token::{CardToken, InvalidCardToken};
pub use numbers::{AttemptNumber, CaptureNumber, IntentNumber, Limits, RefundNumber, Version};
pub use outcomes::{Next, Transition};
pub use parking::{NotParked, PARKED_AFTER};
pub use payment::{Attempt, Capture, OrderReplica, Payment, Refund, RefundAsked, Settled, Status};
pub use refusal::{NotPaid, PaymentRefusal, RefundRefusal};
pub use requests::{Progress, RequestOutcome};
pub use steps::Step;
pub use stripe::{
    Action, Dispute, GatewayError, IntentState, RefundState, Refunds, StripeResult, Total,
};
pub use webhook::{EventSweep, WebhookEvent, is_signed, is_useful};
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
    /// Since when they have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// The requests of the last day that wrote the document, and their outcomes. (Older documents have none.)
    #[serde(default)]
    pub requests: Vec<StoredRequest<Option<RequestOutcome>>>,
}

impl Aggregate for OrderPayment {
    const COLLECTION: &'static str = "payments";
    const OBLIGES: bool = true;
    const IS_WORKED_ON: bool = true;
    const KEEPS_HISTORY: bool = true;
    fn id(&self) -> String {
        self.order_id.to_string()
    }
    fn version(&self) -> i64 {
        self.version.get()
    }
    fn detail(&self, event: Subject) -> Option<&'static str> {
        let payment = self.payment.as_ref()?;
        if event == Subject::PaymentFailed {
            Some(if payment.status == Status::Failed { "final" } else { "declined" })
        } else if event == Subject::PaymentDisputed {
            Some(payment.dispute.as_ref()?.status.as_str())
        } else {
            None
        }
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.snapshot_event().into_iter().collect()
    }
    fn unanswered(&self) -> Option<OutboxMessage> {
        self.owed_event()
    }
    fn has_unknown_value(&self) -> bool {
        let is_unknown = |request: &StoredRequest<Option<RequestOutcome>>| {
            request.response.as_ref().is_some_and(RequestOutcome::is_unknown)
        };
        self.order.status == OrderStatus::Unknown
            || self.order.cancel_reason == Some(CancelReason::Unknown)
            || self.payment.as_ref().is_some_and(|payment| {
                let dispute = payment.dispute.as_ref().map(|dispute| dispute.status);
                payment.status == Status::Unknown || dispute == Some(DisputeStatus::Unknown)
            })
            || self.requests.iter().any(is_unknown)
    }
    fn bump_version(&mut self, by: i64) {
        self.version = self.version + by;
        if let Some(payment) = &mut self.payment {
            payment.event_version = payment.event_version.map(|version| version + by);
        }
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
            failing_since: None,
            requests: Vec::new(),
        }
    }

    /// Applies a newer state of the order. It doesn't change the payment: the next step follows from both, and the process
    /// that makes this change executes it, if it takes the lease. None: the known state is as new.
    pub fn follow(
        &self,
        order: &events::Order,
        takes_lease: bool,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let newer = OrderReplica::of(order);
        // A replica of orders' previous version has published the same state without the payment's version.
        let is_newer = |replica: &OrderReplica| (replica.version, replica.payment_version);
        (is_newer(&newer) > is_newer(&self.order)).then(|| {
            let mut next = self.next();
            next.order = newer;
            if let (Some(CancelReason::Refunded), Some(payment)) =
                (order.cancel_reason, &mut next.payment)
            {
                payment.recover_refund(next.order.amount);
            }
            let scheduled = next.schedule(limits, now);
            let next = match (scheduled.next_run_at, self.next_run_at) {
                (Some(_), None) if takes_lease => scheduled.lease(now),
                // A process that is executing steps continues, and sees the order's new state at its next step.
                (Some(_), Some(leased)) => OrderPayment { next_run_at: Some(leased), ..scheduled },
                (Some(_) | None, _) => scheduled,
            };
            Change::without_event(next)
        })
    }

    /// Whether an attempt may still be started: the order is live and unpaid, and enough time is left to learn its
    /// outcome.
    pub fn accepts_payment(&self, now: Time) -> bool {
        match self.order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                now < self.order.expires_at - CUT_OFF
            }
            OrderStatus::Complete | OrderStatus::Cancelled | OrderStatus::Unknown => false,
        }
    }

    fn is_complete(&self) -> bool {
        match self.order.status {
            OrderStatus::Complete => true,
            OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Cancelled
            | OrderStatus::Unknown => false,
        }
    }

    fn is_cancelled(&self) -> bool {
        match self.order.status {
            OrderStatus::Cancelled => true,
            OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Complete
            | OrderStatus::Unknown => false,
        }
    }

    pub fn owners(&self) -> Owners {
        Owners { seller: self.order.seller_id, buyer: Some(self.order.buyer_id) }
    }

    fn next(&self) -> OrderPayment {
        OrderPayment { version: self.version + 1, ..self.clone() }
    }

    /// With an event in this version.
    fn published(mut self) -> OrderPayment {
        if let Some(payment) = &mut self.payment {
            payment.event_version = Some(self.version);
        }
        self
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
