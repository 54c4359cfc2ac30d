//! The events that describe a payment's present state.

use common::events::{self, FailedPayment, PaymentCreated, PaymentFailed, PaymentRefunded};
use store::OutboxMessage;

use super::{OrderPayment, Payment, Status};

impl OrderPayment {
    /// The event that describes its present state; none if none was published yet.
    pub(super) fn snapshot_event(&self) -> Option<OutboxMessage> {
        let payment = self.payment.as_ref()?;
        match payment.status {
            Status::Created | Status::Processing if payment.declines == 0 => None,
            Status::Created | Status::Processing => {
                Some(OutboxMessage::of(&PaymentFailed(self.failed_event(false)?)))
            }
            Status::Failed => Some(OutboxMessage::of(&PaymentFailed(self.failed_event(true)?))),
            Status::Completed | Status::Refunding => {
                Some(OutboxMessage::of(&self.created_event(payment)?))
            }
            Status::Refunded => Some(OutboxMessage::of(&self.refunded_event(payment)?)),
            Status::Unknown => None,
        }
    }

    /// The payment has succeeded.
    pub(super) fn created_event(&self, payment: &Payment) -> Option<PaymentCreated> {
        Some(PaymentCreated(events::Payment {
            id: payment.id,
            order_id: self.order_id,
            stripe_id: payment.intent.clone()?,
            amount: self.order.amount,
            currency: self.order.currency.clone(),
            reminder: false,
            version: self.version.get(),
        }))
    }

    /// A card was declined, or the payment has ended unpaid.
    pub(super) fn failed_event(&self, r#final: bool) -> Option<FailedPayment> {
        let payment = self.payment.as_ref()?;
        Some(FailedPayment {
            id: payment.id,
            order_id: self.order_id,
            attempt: payment.declines,
            r#final,
            version: self.version.get(),
        })
    }

    /// The refund has succeeded.
    pub(super) fn refunded_event(&self, payment: &Payment) -> Option<PaymentRefunded> {
        Some(PaymentRefunded(events::Refund {
            id: payment.id,
            order_id: self.order_id,
            stripe_refund_id: payment.refund.as_ref()?.stripe_id.clone()?,
            amount: self.order.amount,
            reminder: false,
            version: self.version.get(),
        }))
    }
}
