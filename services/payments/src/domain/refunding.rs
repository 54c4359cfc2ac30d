//! Refunding a payment: what is captured is refunded, and what is only authorised is released.

use common::events::RefundRequired;
use common::{Money, Time};
use store::Change;

use super::{Limits, NotPaid, OrderPayment, Payment, Refund, RefundAsked, RefundNumber, Status};

impl OrderPayment {
    /// The seller refunds the buyer, after which the order's places go back on sale or don't. What isn't captured yet is
    /// released. None: that has begun, or there is nothing to refund.
    pub fn begin_refund(
        &self,
        relist: bool,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let whole = self.order.amount;
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Authorised => payment.refund_asked.is_none().then(|| {
                payment.refund_asked = Some(RefundAsked { relist });
            }),
            Status::Captured => {
                payment.refund_asked = Some(RefundAsked { relist });
                payment.refund(whole, relist, false);
                Some(())
            }
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::Failed
            | Status::ChargedBack
            | Status::Unknown => None,
        })?;
        Some(Change::without_event(change.thing.schedule(limits, now).without_failures()))
    }

    /// orders can't honour the payment. None: that is known.
    pub fn refund_required(
        &self,
        required: &RefundRequired,
        limits: Limits,
        now: Time,
    ) -> Result<Option<Change<OrderPayment>>, NotPaid> {
        let payment = self.payment.as_ref().filter(|payment| payment.id == required.payment_id);
        match payment.ok_or(NotPaid)?.status {
            Status::Created | Status::Processing | Status::ActionRequired | Status::Unknown => {
                Err(NotPaid)
            }
            Status::Authorised
            | Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::Failed
            | Status::ChargedBack => Ok(self.reject(limits, now)),
        }
    }

    fn reject(&self, limits: Limits, now: Time) -> Option<Change<OrderPayment>> {
        let whole = self.order.amount;
        let change = self.edit_payment(now, |payment| {
            let is_known = std::mem::replace(&mut payment.rejected, true);
            if payment.status == Status::Captured {
                let relist = payment.relists();
                payment.refund(whole, relist, false);
                return Some(());
            }
            (!is_known).then_some(())
        })?;
        Some(Change::without_event(change.thing.schedule(limits, now).without_failures()))
    }

    /// Whether what orders requires again has been done, which orders doesn't know.
    pub fn has_returned(&self, required: &RefundRequired) -> bool {
        let payment = self.payment.as_ref().filter(|payment| payment.id == required.payment_id);
        payment.is_some_and(|payment| match payment.status {
            Status::Refunded | Status::Released | Status::Failed | Status::ChargedBack => true,
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Captured
            | Status::Refunding
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

    /// Stripe's result: all of the payment is refunded; by us, or in Stripe's dashboard.
    pub fn record_refund(
        &self,
        stripe_id: &str,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let whole = self.order.amount;
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Captured
            | Status::Refunding
            | Status::Failed => {
                let relist = payment.relists();
                let refund = payment.refund.get_or_insert_with(|| Refund::first(whole, relist));
                refund.stripe_id = Some(stripe_id.to_owned());
                payment.amount_refunded = whole;
                payment.attempt = None;
                payment.status = Status::Refunded;
                Some(())
            }
            Status::Refunded | Status::Released | Status::ChargedBack | Status::Unknown => None,
        })?;
        let next = change.thing.published().schedule(limits, now).finish_request(None);
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
        if self.status == Status::Captured {
            self.refund(whole, true, true);
        }
    }

    pub(super) fn refund(&mut self, whole: Money, relist: bool, outcome_unknown: bool) {
        self.status = Status::Refunding;
        self.attempt = None;
        self.refund = Some(Refund { outcome_unknown, ..Refund::first(whole, relist) });
    }
}

impl Refund {
    pub(super) fn first(whole: Money, relist: bool) -> Refund {
        Refund {
            number: RefundNumber::FIRST,
            outcome_unknown: false,
            amount: Some(whole),
            relist,
            stripe_id: None,
        }
    }
}
