//! The events that describe an order's current state, for `orders republish`.

use common::events::{
    OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired, OrderStatus,
};
use store::OutboxMessage;

use super::Order;

impl Order {
    /// `order.created` describes a live order, also when its reservation is confirmed: that is what other services consume. An
    /// orphaned charge has no state to describe, only the refund that it requires.
    pub(super) fn snapshot(&self) -> Vec<OutboxMessage> {
        let order = self.event();
        let state = match self.status {
            _ if self.orphaned_charge => None,
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                Some(OutboxMessage::of(&OrderCreated(order)))
            }
            OrderStatus::Complete => Some(OutboxMessage::of(&OrderCompleted(order))),
            OrderStatus::Cancelled => Some(OutboxMessage::of(&OrderCancelled(order))),
            OrderStatus::Unknown => None,
        };
        // Also when the refund is done: a restored payments may not contain it.
        let refund = self.required_refund().map(|event| OutboxMessage::of(&event));
        state.into_iter().chain(refund).collect()
    }

    /// The refund that this order requires, if it does.
    pub(super) fn required_refund(&self) -> Option<OrderRefundRequired> {
        let (why, payment) = (self.refund_required?, self.payment.as_ref()?);
        Some(self.refund_required_event(payment.id, why))
    }
}
