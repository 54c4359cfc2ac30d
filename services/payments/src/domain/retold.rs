//! Telling a payment again.

use common::events::{self, PaymentCreated, PaymentFailed, PaymentRefunded};
use store::OutboxMessage;

use super::{Charge, Payment, Status};

impl Payment {
    /// The event that tells its present state again; none if nobody was told anything yet.
    pub(super) fn retelling(&self) -> Option<OutboxMessage> {
        let charge = self.charge.as_ref()?;
        match charge.status {
            Status::Created | Status::Processing if charge.declines == 0 => None,
            Status::Created | Status::Processing => {
                Some(OutboxMessage::of(&PaymentFailed(self.failed_event(false)?)))
            }
            Status::Failed => Some(OutboxMessage::of(&PaymentFailed(self.failed_event(true)?))),
            Status::Completed | Status::Refunding => {
                Some(OutboxMessage::of(&self.created_event(charge)?))
            }
            Status::Refunded => Some(OutboxMessage::of(&self.refunded_event(charge)?)),
        }
    }

    /// The charge has succeeded.
    pub(super) fn created_event(&self, charge: &Charge) -> Option<PaymentCreated> {
        Some(PaymentCreated(events::Payment {
            id: charge.id,
            order_id: self.order_id,
            stripe_id: charge.intent.clone()?,
            amount: self.order.amount,
            currency: self.order.currency.clone(),
            version: self.version,
        }))
    }

    /// The charge was given back.
    pub(super) fn refunded_event(&self, charge: &Charge) -> Option<PaymentRefunded> {
        Some(PaymentRefunded(events::Refund {
            id: charge.id,
            order_id: self.order_id,
            stripe_refund_id: charge.refund.as_ref()?.stripe_id.clone()?,
            amount: self.order.amount,
            version: self.version,
        }))
    }
}
