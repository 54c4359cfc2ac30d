//! How an order's payment ends, whatever the order has become: it fails, is released or refunded, or the cardholder's bank
//! takes the charge back. Newer wins: the order keeps the greatest version of its payment that it has seen.

use common::events::{
    self, CancelReason, DisputeStatus, OrderCancelled, OrderStatus, OrderUpdated,
};
use common::ids::PaymentId;
use store::Change;

use super::{Order, Payment};

impl Order {
    /// A card was declined, which changes nothing; or, finally, the payment can't succeed, or what was authorised can't be
    /// captured any more.
    ///
    /// That ends a complete order as well, unless the failure is older than the success that was answered. One that is
    /// seen before an older success prevents that from being answered.
    pub fn payment_failed(&self, payment: &events::FailedPayment) -> Option<Change<Order>> {
        if !payment.r#final {
            return None;
        }
        let settled = self.payment.as_ref().is_some_and(|seen| seen.answer.is_some());
        self.ended_by_payment(
            payment.id,
            payment.version,
            settled,
            CancelReason::PaymentFailed,
            false,
        )
    }

    /// What was authorised is released. A live order gives its places back, unless the seller doesn't want them on sale
    /// again.
    pub fn released(&self, payment: &events::ReleasedPayment) -> Option<Change<Order>> {
        let withdrawn = !payment.relist;
        self.ended_by_payment(payment.id, payment.version, true, CancelReason::Refunded, withdrawn)
    }

    /// The charge was refunded: legal in every state.
    pub fn refunded(&self, refund: &events::Refund) -> Option<Change<Order>> {
        let withdrawn = !refund.relist;
        self.ended_by_payment(refund.id, refund.version, true, CancelReason::Refunded, withdrawn)
    }

    /// The cardholder's bank has decided for the cardholder. The ticket may have been handed over: its place isn't put
    /// back on sale.
    pub fn disputed(&self, dispute: &events::DisputedPayment) -> Option<Change<Order>> {
        match dispute.status {
            DisputeStatus::Open | DisputeStatus::Won | DisputeStatus::Unknown => None,
            DisputeStatus::Lost => self.ended_by_payment(
                dispute.id,
                dispute.version,
                true,
                CancelReason::Disputed,
                true,
            ),
        }
    }

    /// None: this, or something newer, was seen before.
    fn ended_by_payment(
        &self,
        payment: PaymentId,
        version: i64,
        settled: bool,
        reason: CancelReason,
        withdrawn: bool,
    ) -> Option<Change<Order>> {
        if version <= self.payment_version() {
            return None;
        }
        let was_live = self.status.is_live();
        let seen = Some(Payment {
            id: payment,
            version,
            answer: self.payment.as_ref().and_then(|seen| seen.answer),
            settled: settled || self.payment.as_ref().is_some_and(|seen| seen.settled),
        });
        let withdrawn = self.withdrawn || (was_live && withdrawn);
        let order = Order { withdrawn, payment: seen, ..self.clone() };
        if was_live {
            let order = order.with_status(OrderStatus::Cancelled, Some(reason));
            let event = OrderCancelled(order.event());
            Some(Change::with_event(order, &event))
        } else {
            let order = order.with_status(OrderStatus::Cancelled, self.cancel_reason);
            let event = OrderUpdated(order.event());
            Some(Change::with_event(order, &event))
        }
    }

    /// The greatest version of the payment that was seen.
    pub(super) fn payment_version(&self) -> i64 {
        self.payment.as_ref().map_or(0, |seen| seen.version)
    }

    /// Whether this event of the payment, or something newer, was reacted to before, which payments may not know.
    pub fn has_seen(&self, payment: PaymentId, version: i64) -> bool {
        self.payment.as_ref().is_some_and(|seen| {
            seen.id == payment && (seen.answer.is_some() || seen.settled || seen.version >= version)
        })
    }
}
