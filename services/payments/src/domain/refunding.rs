//! Giving back what was paid.

use common::Time;
use common::events::RefundRequired;
use store::Change;

use super::{Payment, Refund, Status};

/// orders has heard of a charge that this database doesn't know to have succeeded, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such charge that is known to be paid")]
pub struct NotPaid;

impl Payment {
    /// What was paid is to be given back. None: it is on its way, or there is nothing to give back.
    pub fn refund(&self, now: Time) -> Option<Change<Payment>> {
        let change = self.with_charge(now, |charge| match charge.status {
            Status::Completed => {
                charge.status = Status::Refunding;
                charge.refund = Some(Refund { key: 1, ask: false, stripe_id: None });
                Some(())
            }
            Status::Created
            | Status::Processing
            | Status::Refunding
            | Status::Refunded
            | Status::Failed => None,
        })?;
        Some(Change::without_event(Payment { work_at: Some(now), failures: 0, ..change.thing }))
    }

    /// orders can't honour what was paid. None: that is known.
    pub fn refund_required(
        &self,
        required: &RefundRequired,
        now: Time,
    ) -> Result<Option<Change<Payment>>, NotPaid> {
        let charge = self.charge.as_ref().filter(|charge| charge.id == required.payment_id);
        match charge.ok_or(NotPaid)?.status {
            Status::Created | Status::Processing | Status::Failed => Err(NotPaid),
            Status::Completed | Status::Refunding | Status::Refunded => Ok(self.refund(now)),
        }
    }

    /// As [`Payment::must_ask`], for the refund.
    pub fn must_ask_refund(&self, key: i64, now: Time) -> Option<Change<Payment>> {
        self.with_refund(key, now, |refund| (!refund.ask).then(|| refund.ask = true))
    }

    /// As [`Payment::attempt_key_spent`], for the refund.
    pub fn refund_key_spent(&self, key: i64, now: Time) -> Option<Change<Payment>> {
        self.with_refund(key, now, |refund| {
            (refund.key, refund.ask) = (key + 1, false);
            Some(())
        })
    }

    /// Stripe: the refund has succeeded.
    pub fn refunded(&self, stripe_id: &str, now: Time) -> Option<Change<Payment>> {
        let change = self.with_charge(now, |charge| {
            let refund = charge.refund.as_mut()?;
            refund.stripe_id.is_none().then(|| {
                refund.stripe_id = Some(stripe_id.to_owned());
                charge.status = Status::Refunded;
            })
        })?;
        let payment = Payment { work_at: None, ..change.thing };
        let event = payment.refunded_event(payment.charge.as_ref()?)?;
        Some(Change::with_event(payment, &event))
    }

    fn with_refund(
        &self,
        key: i64,
        now: Time,
        edit: impl FnOnce(&mut Refund) -> Option<()>,
    ) -> Option<Change<Payment>> {
        self.with_charge(now, |charge| {
            let refund = charge.refund.as_mut().filter(|refund| refund.key == key)?;
            if refund.stripe_id.is_none() { edit(refund) } else { None }
        })
    }
}
