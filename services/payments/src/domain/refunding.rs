//! Refunding a payment.

use common::Time;
use common::events::RefundRequired;
use store::Change;

use super::{NotPaid, OrderPayment, Payment, Refund, RefundNumber, Status};

impl OrderPayment {
    /// Begins the refund. None: it has begun, or there is nothing to refund.
    pub fn begin_refund(&self, now: Time) -> Option<Change<OrderPayment>> {
        let change = self
            .edit_payment(now, |payment| payment.is_completed().then(|| payment.refund(false)))?;
        Some(Change::without_event(OrderPayment {
            next_run_at: Some(now),
            failures: 0,
            ..change.thing
        }))
    }

    /// orders can't honour the payment. None: its refund has begun.
    pub fn refund_required(
        &self,
        required: &RefundRequired,
        now: Time,
    ) -> Result<Option<Change<OrderPayment>>, NotPaid> {
        let payment = self.payment.as_ref().filter(|payment| payment.id == required.payment_id);
        match payment.ok_or(NotPaid)?.status {
            Status::Created | Status::Processing | Status::Failed | Status::Unknown => Err(NotPaid),
            Status::Completed | Status::Refunding | Status::Refunded => Ok(self.begin_refund(now)),
        }
    }

    /// As [`OrderPayment::mark_outcome_unknown`], for the refund.
    pub fn mark_refund_outcome_unknown(
        &self,
        number: RefundNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_refund(number, now, |refund| {
            (!refund.outcome_unknown).then(|| refund.outcome_unknown = true)
        })
    }

    /// As [`OrderPayment::advance_attempt_number`], for the refund.
    pub fn advance_refund_number(
        &self,
        number: RefundNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_refund(number, now, |refund| {
            (refund.number, refund.outcome_unknown) = (number + 1, false);
            Some(())
        })
    }

    /// Stripe's result: the refund has succeeded.
    pub fn record_refund(&self, stripe_id: &str, now: Time) -> Option<Change<OrderPayment>> {
        let change = self.edit_payment(now, |payment| {
            let refund = payment.refund.as_mut()?;
            refund.stripe_id.is_none().then(|| {
                refund.stripe_id = Some(stripe_id.to_owned());
                payment.status = Status::Refunded;
            })
        })?;
        let next = OrderPayment { next_run_at: None, ..change.thing };
        let event = next.refunded_event(next.payment.as_ref()?)?;
        Some(Change::with_event(next, &event))
    }

    fn edit_refund(
        &self,
        number: RefundNumber,
        now: Time,
        edit: impl FnOnce(&mut Refund) -> Option<()>,
    ) -> Option<Change<OrderPayment>> {
        self.edit_payment(now, |payment| {
            let refund = payment.refund.as_mut().filter(|refund| refund.number == number)?;
            if refund.stripe_id.is_none() { edit(refund) } else { None }
        })
    }
}

impl Payment {
    /// orders knows of a refund that this database has lost (it was restored), or has lost the order itself: the
    /// payment is refunded, after its existing refunds were retrieved.
    pub(super) fn recover_refund(&mut self) {
        if self.is_completed() {
            self.refund(true);
        }
    }

    pub(super) fn is_completed(&self) -> bool {
        match self.status {
            Status::Completed => true,
            Status::Created
            | Status::Processing
            | Status::Refunding
            | Status::Refunded
            | Status::Failed
            | Status::Unknown => false,
        }
    }

    fn refund(&mut self, outcome_unknown: bool) {
        self.status = Status::Refunding;
        self.refund =
            Some(Refund { number: RefundNumber::FIRST, outcome_unknown, stripe_id: None });
    }
}
