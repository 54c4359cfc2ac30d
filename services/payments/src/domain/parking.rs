//! What can't succeed at Stripe is parked: it is tried with long pauses, until it succeeds or an operator declares it as
//! settled.

use common::Time;
use store::Change;

use super::{Limits, OrderPayment, Refund, Settled, Status};

/// After so many failures in a row, which take about six minutes, a payment is parked.
pub const PARKED_AFTER: u32 = 20;

/// Why nothing can be declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotParked {
    #[error("the order has no payment with a step left")]
    NothingLeft,
    #[error("the payment isn't parked: it is still tried with short pauses")]
    StillTried,
}

impl OrderPayment {
    pub fn is_parked(&self) -> bool {
        self.next_run_at.is_some() && self.failures >= i64::from(PARKED_AFTER)
    }

    /// An operator declares a parked payment as settled. What was captured counts as refunded: the buyer has the money by
    /// other means. What wasn't counts as cancelled. Both are published, as if Stripe had said so.
    pub fn settle(
        &self,
        reason: &str,
        limits: Limits,
        now: Time,
    ) -> Result<Change<OrderPayment>, NotParked> {
        if self.next_run_at.is_none() {
            return Err(NotParked::NothingLeft);
        }
        if !self.is_parked() {
            return Err(NotParked::StillTried);
        }
        let mut declared = self.clone();
        let payment = declared.payment.as_mut().ok_or(NotParked::NothingLeft)?;
        payment.settled = Some(Settled { reason: reason.to_owned(), at: now });
        let change = match payment.status {
            Status::Refunding => declared.settle_refund(limits, now),
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Failed => declared.record_cancellation(limits, now),
            Status::Captured
            | Status::Refunded
            | Status::Released
            | Status::ChargedBack
            | Status::Unknown => None,
        };
        let Change { thing, events } = change.ok_or(NotParked::NothingLeft)?;
        Ok(Change { thing: thing.without_failures(), events })
    }

    fn settle_refund(&self, limits: Limits, now: Time) -> Option<Change<OrderPayment>> {
        let whole = self.order.amount;
        let change = self.edit_payment(now, |payment| {
            let relist = payment.relists();
            payment.refund.get_or_insert_with(|| Refund::first(whole, relist));
            payment.amount_refunded = whole;
            payment.status = Status::Refunded;
            Some(())
        })?;
        let next = change.thing.published().schedule(limits, now).finish_request(None);
        let event = next.refunded_event(next.payment.as_ref()?)?;
        Some(Change::with_event(next, &event))
    }
}
