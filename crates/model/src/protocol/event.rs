//! The events between the services, with what their consumers read of them, and who consumes them.

use super::places::Places;
use super::{OrderIndex, Version};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// `ticket.created`, `ticket.updated`.
    Listed { version: Version, content: u8, quantity: u8 },
    /// `ticket.deleted`.
    Deleted { version: Version },
    /// `ticket.reserved`.
    Reserved { order: OrderIndex },
    /// `order.created`, `order.completed`, `order.cancelled`. `seen`: the version of its payment that orders has seen.
    Order {
        order: OrderIndex,
        version: Version,
        status: OrderStatus,
        occupies: bool,
        places: Places,
        seen: Version,
    },
    /// `order.updated`: only that has changed. (Nothing depends on the one that says *awaiting payment*.)
    OrderUpdated { order: OrderIndex, version: Version, status: OrderStatus, seen: Version },
    /// `order.refund_required`.
    RefundRequired { order: OrderIndex },
    /// `expiration.complete`.
    Expired { order: OrderIndex },
    /// `payment.created`: the money is authorised.
    PaymentCreated { order: OrderIndex, version: Version },
    /// `payment.captured`.
    PaymentCaptured { order: OrderIndex, version: Version },
    /// `payment.failed`, final.
    PaymentFailed { order: OrderIndex, version: Version },
    /// `payment.released`. `relist`: the places of the order are for sale again.
    PaymentReleased { order: OrderIndex, version: Version, relist: bool },
    /// `payment.refunded`.
    PaymentRefunded { order: OrderIndex, version: Version, relist: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    Created,
    AwaitingPayment,
    Complete,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Tickets,
    Orders,
    Payments,
    Expiration,
}

impl Event {
    pub fn listeners(self) -> &'static [Listener] {
        match self {
            Event::Listed { .. }
            | Event::Deleted { .. }
            | Event::Reserved { .. }
            | Event::Expired { .. }
            | Event::PaymentCreated { .. }
            | Event::PaymentCaptured { .. }
            | Event::PaymentFailed { .. }
            | Event::PaymentReleased { .. }
            | Event::PaymentRefunded { .. } => &[Listener::Orders],
            Event::Order { .. } => &[Listener::Tickets, Listener::Expiration, Listener::Payments],
            Event::OrderUpdated { .. } | Event::RefundRequired { .. } => &[Listener::Payments],
        }
    }

    /// Whether a consumer that has acknowledged it may react to it again: what that listener does depends on more than
    /// whether it has seen it, or something newer, before.
    pub fn may_matter_again(self) -> bool {
        match self {
            Event::Deleted { .. } | Event::PaymentFailed { .. } => true,
            Event::Listed { .. }
            | Event::Reserved { .. }
            | Event::Order { .. }
            | Event::OrderUpdated { .. }
            | Event::RefundRequired { .. }
            | Event::Expired { .. }
            | Event::PaymentCreated { .. }
            | Event::PaymentCaptured { .. }
            | Event::PaymentReleased { .. }
            | Event::PaymentRefunded { .. } => false,
        }
    }
}
