//! Reconciliation: what Stripe has is compared with the document, and a PaymentIntent that a restored database has lost is
//! adopted.

use common::Time;
use store::Change;

use super::{Dispute, IntentState, Limits, OrderPayment, Payment, Status};

impl IntentState {
    /// Whether money is reserved, or was taken and isn't given back.
    pub fn holds_money(&self, payment: &OrderPayment) -> bool {
        match self {
            IntentState::RequiresCapture => true,
            IntentState::Succeeded(refunds) => refunds.succeeded < payment.order.amount,
            IntentState::Canceled
            | IntentState::RequiresAction(_)
            | IntentState::RequiresPaymentMethod { .. }
            | IntentState::Processing => false,
        }
    }

    /// In words, for an operator.
    pub fn describe(&self) -> String {
        match self {
            IntentState::Succeeded(refunds) => {
                format!("succeeded with {} refunded", refunds.succeeded)
            }
            IntentState::Canceled => "canceled".to_owned(),
            IntentState::RequiresCapture => "requires_capture".to_owned(),
            IntentState::RequiresAction(_) => "requires_action".to_owned(),
            IntentState::RequiresPaymentMethod { .. } => "requires_payment_method".to_owned(),
            IntentState::Processing => "processing".to_owned(),
        }
    }
}

impl OrderPayment {
    /// The PaymentIntent that the document names.
    pub fn intent(&self) -> Option<&str> {
        self.payment.as_ref()?.intent.as_deref()
    }

    /// Takes over a PaymentIntent whose metadata name this order, if the document names none. `instead`: also if it names
    /// another one, to which nothing has happened. None: it is known, or an attempt is in progress.
    pub fn adopt_intent(
        &self,
        intent: &str,
        instead: bool,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let mut next = self.next();
        let payment = next.payment.get_or_insert_with(|| Payment::new(self.order_id, now));
        let is_free = match payment.status {
            Status::Created => !payment.cancelling,
            Status::Failed => payment.intent.is_none(),
            Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::ChargedBack
            | Status::Unknown => false,
        };
        let is_known = payment.intent.as_deref() == Some(intent);
        if !is_free || is_known || (payment.intent.is_some() && !instead) {
            return None;
        }
        payment.intent = Some(intent.to_owned());
        Some(Change::without_event(next.schedule(limits, now)))
    }

    /// What differs between this document and its PaymentIntent. None: they are the same.
    pub fn difference(&self, state: &IntentState, disputes: &[Dispute]) -> Option<String> {
        let payment = self.payment.as_ref()?;
        let whole = self.order.amount;
        let is_same = match (state, payment.status) {
            (
                IntentState::RequiresPaymentMethod { .. }
                | IntentState::RequiresAction(_)
                | IntentState::Processing,
                Status::Created | Status::Processing | Status::ActionRequired,
            )
            | (IntentState::RequiresCapture, Status::Authorised)
            | (IntentState::Canceled, Status::Released)
            | (IntentState::Succeeded(_), Status::ChargedBack)
            | (_, Status::Unknown) => true,
            // The last card was declined, and the PaymentIntent is about to be cancelled.
            (
                IntentState::RequiresPaymentMethod { .. }
                | IntentState::RequiresAction(_)
                | IntentState::Processing,
                Status::Failed,
            ) => !payment.cancelled || payment.settled.is_some(),
            (IntentState::Canceled, Status::Failed) => payment.cancelled,
            (IntentState::Succeeded(refunds), Status::Captured) => {
                refunds.succeeded == payment.amount_refunded
            }
            (IntentState::Succeeded(refunds), Status::Refunding) => refunds.succeeded < whole,
            (IntentState::Succeeded(refunds), Status::Refunded) => {
                refunds.succeeded >= whole || refunds.is_pending || payment.settled.is_some()
            }
            (
                IntentState::RequiresPaymentMethod { .. }
                | IntentState::RequiresAction(_)
                | IntentState::Processing
                | IntentState::RequiresCapture
                | IntentState::Canceled
                | IntentState::Succeeded(_),
                Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Authorised
                | Status::Captured
                | Status::Refunding
                | Status::Refunded
                | Status::Released
                | Status::Failed
                | Status::ChargedBack,
            ) => false,
        };
        if !is_same {
            let refunded = payment.amount_refunded;
            let ours = match payment.status {
                Status::Captured => format!("completed with {refunded} refunded"),
                Status::Authorised => "authorised".to_owned(),
                status @ (Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Refunding
                | Status::Refunded
                | Status::Released
                | Status::Failed
                | Status::ChargedBack
                | Status::Unknown) => status.as_str().to_owned(),
            };
            return Some(format!("is {} at Stripe, and {ours} here", state.describe()));
        }
        self.dispute_difference(disputes)
    }

    fn dispute_difference(&self, disputes: &[Dispute]) -> Option<String> {
        let payment = self.payment.as_ref()?;
        let newest = disputes.last()?;
        let can_be_disputed = match payment.status {
            Status::Captured | Status::Refunding => true,
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Refunded
            | Status::Released
            | Status::Failed
            | Status::ChargedBack
            | Status::Unknown => false,
        };
        let is_known = payment.dispute.as_ref().is_some_and(|known| {
            (&known.stripe_id, known.status) == (&newest.stripe_id, newest.status)
        });
        (can_be_disputed && !is_known).then(|| {
            let (id, status) = (&newest.stripe_id, newest.status.as_str());
            format!("has the dispute {id} ({status}) at Stripe, and not here")
        })
    }

    /// Whether a step is to be executed soon, after which the document may say something else.
    pub fn is_in_progress(&self) -> bool {
        self.next_run_at.is_some() && !self.is_parked()
    }
}
