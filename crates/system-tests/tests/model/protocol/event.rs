//! The events between the services, with what their consumers read of them, and who consumes them.

use super::order::Status;
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
    /// `order.created`, `order.completed`, `order.cancelled`. (Nothing depends on `order.updated`.)
    Order { order: OrderIndex, version: Version, status: Status, occupies: bool, places: Places },
    /// `order.refund_required`.
    RefundRequired { order: OrderIndex },
    /// `expiration.complete`.
    Expired { order: OrderIndex },
    /// `payment.created`.
    Paid { order: OrderIndex },
    /// `payment.failed`, final.
    Failed { order: OrderIndex },
    /// `payment.refunded`.
    Refunded { order: OrderIndex, relist: bool },
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
            | Event::Paid { .. }
            | Event::Failed { .. }
            | Event::Refunded { .. } => &[Listener::Orders],
            Event::Order { .. } => &[Listener::Tickets, Listener::Expiration],
            Event::RefundRequired { .. } => &[Listener::Payments],
        }
    }

    /// Whether a consumer that has acknowledged it may react to it again: what that listener does depends on more than
    /// whether it has seen it, or something newer, before.
    pub fn may_matter_again(self) -> bool {
        match self {
            Event::Deleted { .. } | Event::Failed { .. } => true,
            Event::Listed { .. }
            | Event::Reserved { .. }
            | Event::Order { .. }
            | Event::RefundRequired { .. }
            | Event::Expired { .. }
            | Event::Paid { .. }
            | Event::Refunded { .. } => false,
        }
    }
}
