//! Refunding a payment.

use common::events::RefundRequired;
use common::{Money, Time};
use store::Change;

use super::{NotPaid, OrderPayment, Payment, Refund, RefundNumber, Status};

impl OrderPayment {
    /// Begins the refund. None: it has begun, or there is nothing to refund.
    pub fn begin_refund(&self, now: Time) -> Option<Change<OrderPayment>> {
        let whole = self.order.amount;
        let change = self.edit_payment(now, |payment| {
            payment.is_completed().then(|| payment.refund(whole, false))
        })?;
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

    /// Whether the refund that orders asks for again has succeeded, which orders doesn't know.
    pub fn has_refunded(&self, required: &RefundRequired) -> bool {
        let payment = self.payment.as_ref().filter(|payment| payment.id == required.payment_id);
        payment.is_some_and(|payment| match payment.status {
            Status::Refunded => true,
            Status::Created
            | Status::Processing
            | Status::Completed
            | Status::Refunding
            | Status::Failed
            | Status::Unknown => false,
        })
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

    /// As [`OrderPayment::advance_attempt_number`], for the refund: the next number refunds this amount.
    pub fn advance_refund_number(
        &self,
        number: RefundNumber,
        amount: Option<Money>,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_refund(number, now, |refund| {
            (refund.number, refund.outcome_unknown) = (number + 1, false);
            refund.amount = amount;
            Some(())
        })
    }

    /// The amount of the refund with this number, if it is the present one and its amount is known.
    pub(super) fn refund_amount(&self, number: RefundNumber) -> Option<Money> {
        let refund = self.payment.as_ref()?.refund.as_ref()?;
        if refund.number == number { refund.amount } else { None }
    }

    /// Stripe's result: all of the payment is refunded.
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
    pub(super) fn recover_refund(&mut self, whole: Money) {
        if self.is_completed() {
            self.refund(whole, true);
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

    fn refund(&mut self, whole: Money, outcome_unknown: bool) {
        self.status = Status::Refunding;
        self.refund = Some(Refund {
            number: RefundNumber::FIRST,
            outcome_unknown,
            amount: Some(whole),
            stripe_id: None,
        });
    }
}
