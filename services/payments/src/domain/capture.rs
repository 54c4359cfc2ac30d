//! What becomes of an authorised payment: it is captured, for a complete order; or released, if orders can't honour it or
//! the seller refunds the buyer.

use common::Time;
use store::Change;

use super::{Capture, CaptureNumber, Limits, OrderPayment, Payment, Status};

impl OrderPayment {
    /// Whether it is about to be captured, or released; or an attempt's outcome is unknown.
    pub fn is_undecided(&self) -> bool {
        self.payment.as_ref().is_some_and(|payment| match payment.status {
            Status::Processing | Status::Authorised => true,
            Status::Created
            | Status::ActionRequired
            | Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::Failed
            | Status::ChargedBack
            | Status::Unknown => false,
        })
    }

    /// Writes that the PaymentIntent is to be cancelled, before that is sent. None: there is no reason, or it is written.
    pub fn begin_cancelling(&self, limits: Limits, now: Time) -> Option<Change<OrderPayment>> {
        if !self.must_begin_cancelling(limits) {
            return None;
        }
        self.edit_payment(now, |payment| {
            payment.cancelling = true;
            Some(())
        })
    }

    /// Whether nobody is to be charged any more, and that isn't written yet.
    pub(super) fn must_begin_cancelling(&self, limits: Limits) -> bool {
        let Some(payment) = &self.payment else { return false };
        let is_due = match payment.status {
            // (The previous version left a payment `created` after the last decline.)
            Status::Created => self.is_cancelled() || limits.is_reached_by(payment.declines),
            Status::ActionRequired => self.is_cancelled(),
            Status::Failed => !payment.cancelled,
            // The end of the order alone is no answer to what is authorised.
            Status::Authorised => payment.is_returning(),
            Status::Processing
            | Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::ChargedBack
            | Status::Unknown => false,
        };
        is_due && payment.intent.is_some() && !payment.cancelling
    }

    /// As [`OrderPayment::mark_outcome_unknown`], for the capture.
    pub fn mark_capture_outcome_unknown(
        &self,
        number: CaptureNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_capture(number, now, |capture| {
            (!capture.outcome_unknown).then(|| capture.outcome_unknown = true)
        })?;
        Some(Change::without_event(OrderPayment { failures: self.failures + 1, ..change.thing }))
    }

    /// The retrieved PaymentIntent shows that nothing was captured under this number: the next one captures.
    pub fn advance_capture_number(
        &self,
        number: CaptureNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_capture(number, now, |capture| {
            capture.outcome_unknown.then(|| {
                *capture = Capture { number: number + 1, outcome_unknown: false };
            })
        })
    }

    fn edit_capture(
        &self,
        number: CaptureNumber,
        now: Time,
        edit: impl FnOnce(&mut Capture) -> Option<()>,
    ) -> Option<Change<OrderPayment>> {
        self.edit_payment(now, |payment| {
            let is_current =
                payment.status == Status::Authorised && payment.capture.number == number;
            if is_current { edit(&mut payment.capture) } else { None }
        })
    }
}

impl Payment {
    /// Whether orders or the seller wants the money to go back.
    pub fn is_returning(&self) -> bool {
        self.rejected || self.refund_asked.is_some()
    }

    /// Whether the order's places go back on sale when the money has gone back. Nobody has said so of what was refunded in
    /// Stripe's dashboard; and an order that orders can't honour has no places, or those of a deleted listing.
    pub(super) fn relists(&self) -> bool {
        self.refund_asked.map_or(self.rejected, |asked| asked.relist)
    }

    /// Whether the PaymentIntent's cancellation isn't confirmed yet. A capture may have been faster.
    pub(super) fn is_to_be_cancelled(&self) -> bool {
        let is_open = match self.status {
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Failed => true,
            Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::ChargedBack
            | Status::Unknown => false,
        };
        is_open && self.cancelling && !self.cancelled
    }
}
