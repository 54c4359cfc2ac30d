//! Telling an order again.

use common::events::{
    OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired, OrderStatus,
};
use store::OutboxMessage;

use super::Order;

impl Order {
    /// The events that tell its present state again.
    ///
    /// `order.created` tells of a live order, also when its lock is confirmed: that is what the others
    /// listen to. Of an order of which only its charge is known there is nothing to tell but that it is to be
    /// given back.
    pub(super) fn retelling(&self) -> Vec<OutboxMessage> {
        let order = self.event();
        let state = match self.status {
            _ if self.is_lost() => None,
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                Some(OutboxMessage::of(&OrderCreated(order)))
            }
            OrderStatus::Complete => Some(OutboxMessage::of(&OrderCompleted(order))),
            OrderStatus::Cancelled => Some(OutboxMessage::of(&OrderCancelled(order))),
        };
        // Said again also when it was followed: a restored payments may not know that it gave it back.
        let refund = self.refund_event().map(|event| OutboxMessage::of(&event));
        state.into_iter().chain(refund).collect()
    }

    /// What was asked for; none if nothing was.
    fn refund_event(&self) -> Option<OrderRefundRequired> {
        let (why, payment) = (self.refund_required?, self.payment.as_ref()?);
        Some(self.refund_required_event(payment.id, why))
    }
}
