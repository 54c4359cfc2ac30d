//! The events that describe a payment's present state, and those that are owed.

use common::events::{
    self, DisputedPayment, FailedPayment, PaymentCaptured, PaymentCreated, PaymentDisputed,
    PaymentFailed, PaymentRefunded, PaymentReleased, ReleasedPayment,
};
use store::OutboxMessage;

use super::{OrderPayment, Payment, Status};

/// Stands for Stripe's refund where an operator has declared that the buyer has the money.
const SETTLED: &str = "settled";

impl OrderPayment {
    /// The event that describes its present state; none if none was published yet.
    pub(super) fn snapshot_event(&self) -> Option<OutboxMessage> {
        let payment = self.payment.as_ref()?;
        match payment.status {
            Status::Created | Status::Processing | Status::ActionRequired
                if payment.declines == 0 =>
            {
                None
            }
            Status::Created | Status::Processing | Status::ActionRequired => {
                Some(OutboxMessage::of(&PaymentFailed(self.failed_event(false)?)))
            }
            Status::Failed => Some(OutboxMessage::of(&PaymentFailed(self.failed_event(true)?))),
            Status::Authorised => Some(OutboxMessage::of(&self.created_event(payment)?)),
            Status::Captured | Status::Refunding => {
                Some(OutboxMessage::of(&self.captured_event(payment)?))
            }
            Status::Released => Some(OutboxMessage::of(&PaymentReleased(self.released_event()?))),
            Status::Refunded => Some(OutboxMessage::of(&self.refunded_event(payment)?)),
            Status::ChargedBack => {
                Some(OutboxMessage::of(&PaymentDisputed(self.disputed_event()?)))
            }
            Status::Unknown => None,
        }
    }

    /// What orders has to answer, or to have seen. It answers an authorisation, or a charge: the order is complete, or is
    /// rejected. A final outcome is owed until orders says that it has seen *this* one: an end of the order may be that of
    /// before a late payment has revived it.
    pub(super) fn owed_event(&self) -> Option<OutboxMessage> {
        let payment = self.payment.as_ref()?;
        match payment.status {
            Status::Authorised | Status::Captured
                if self.is_complete() || payment.is_returning() =>
            {
                None
            }
            Status::Failed | Status::Released | Status::Refunded | Status::ChargedBack
                if self.is_seen(payment) =>
            {
                None
            }
            Status::Authorised => {
                let PaymentCreated(event) = self.created_event(payment)?;
                let event = events::Payment { reminder: true, ..event };
                Some(OutboxMessage::of(&PaymentCreated(event)))
            }
            Status::Captured => {
                let PaymentCaptured(event) = self.captured_event(payment)?;
                let event = events::Payment { reminder: true, ..event };
                Some(OutboxMessage::of(&PaymentCaptured(event)))
            }
            Status::Failed => {
                let event = FailedPayment { reminder: true, ..self.failed_event(true)? };
                Some(OutboxMessage::of(&PaymentFailed(event)))
            }
            Status::Released => {
                let event = ReleasedPayment { reminder: true, ..self.released_event()? };
                Some(OutboxMessage::of(&PaymentReleased(event)))
            }
            Status::Refunded => {
                let PaymentRefunded(event) = self.refunded_event(payment)?;
                let event = events::Refund { reminder: true, ..event };
                Some(OutboxMessage::of(&PaymentRefunded(event)))
            }
            Status::ChargedBack => {
                let event = DisputedPayment { reminder: true, ..self.disputed_event()? };
                Some(OutboxMessage::of(&PaymentDisputed(event)))
            }
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Refunding
            | Status::Unknown => None,
        }
    }

    /// Whether orders has seen the newest event. The previous version owed nobody a failure, and a refund only while the
    /// order was complete.
    fn is_seen(&self, payment: &Payment) -> bool {
        match payment.event_version {
            Some(version) => self.order.payment_version.is_some_and(|seen| seen >= version),
            None => payment.status != Status::Refunded || !self.is_complete(),
        }
    }

    /// The version of the newest event.
    fn event_version(&self, payment: &Payment) -> i64 {
        payment.event_version.unwrap_or(self.version).get()
    }

    /// The money is authorised.
    pub(super) fn created_event(&self, payment: &Payment) -> Option<PaymentCreated> {
        self.payment_event(payment).map(PaymentCreated)
    }

    /// The card was charged.
    pub(super) fn captured_event(&self, payment: &Payment) -> Option<PaymentCaptured> {
        self.payment_event(payment).map(PaymentCaptured)
    }

    fn payment_event(&self, payment: &Payment) -> Option<events::Payment> {
        Some(events::Payment {
            id: payment.id,
            order_id: self.order_id,
            stripe_id: payment.intent.clone()?,
            amount: self.order.amount,
            currency: self.order.currency.clone(),
            reminder: false,
            version: self.event_version(payment),
        })
    }

    /// A card was declined, or the payment has ended unpaid.
    pub(super) fn failed_event(&self, r#final: bool) -> Option<FailedPayment> {
        let payment = self.payment.as_ref()?;
        Some(FailedPayment {
            id: payment.id,
            order_id: self.order_id,
            attempt: payment.declines,
            r#final,
            reminder: false,
            version: self.event_version(payment),
        })
    }

    /// What was authorised is released.
    pub(super) fn released_event(&self) -> Option<ReleasedPayment> {
        let payment = self.payment.as_ref()?;
        Some(ReleasedPayment {
            id: payment.id,
            order_id: self.order_id,
            amount: self.order.amount,
            relist: payment.relists(),
            reminder: false,
            version: self.event_version(payment),
        })
    }

    /// The charge is disputed, or was.
    pub(super) fn disputed_event(&self) -> Option<DisputedPayment> {
        let payment = self.payment.as_ref()?;
        let dispute = payment.dispute.as_ref()?;
        Some(DisputedPayment {
            id: payment.id,
            order_id: self.order_id,
            stripe_dispute_id: dispute.stripe_id.clone(),
            amount: dispute.amount,
            status: dispute.status,
            reminder: false,
            version: self.event_version(payment),
        })
    }

    /// The refund has succeeded.
    pub(super) fn refunded_event(&self, payment: &Payment) -> Option<PaymentRefunded> {
        let refund = payment.refund.as_ref()?;
        let outside_stripe = payment.settled.as_ref().map(|_| SETTLED.to_owned());
        Some(PaymentRefunded(events::Refund {
            id: payment.id,
            order_id: self.order_id,
            stripe_refund_id: refund.stripe_id.clone().or(outside_stripe)?,
            amount: self.order.amount,
            relist: refund.relist,
            reminder: false,
            version: self.event_version(payment),
        }))
    }
}
