//! Why the domain refuses what a user wants to do.

use common::events::OrderStatus;
use common::ids::{OrderId, UserId};
use common::{Money, Time};

use super::Order;

/// Why a ticket can't be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveRefusal {
    /// The event has already taken place.
    EventPast,
    /// The price is not the one that the buyer expects.
    PriceChanged { expected: Money, current: Money },
    /// Another order has reserved the ticket.
    Reserved {
        until: Time,
        /// That order, if it is the buyer's own.
        own_order: Option<OrderId>,
    },
    /// Another order has bought the ticket.
    Sold {
        /// That order, if it is the buyer's own.
        own_order: Option<OrderId>,
    },
}

/// Why a buyer can't cancel an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRefusal {
    /// The reservation has expired.
    Expired,
    /// The order was cancelled for another reason.
    Cancelled,
    /// The order is paid: only its seller can refund it.
    Complete,
}

impl Order {
    /// The refusal of another attempt to reserve the ticket of this live order.
    pub fn blocks(&self, buyer: UserId) -> ReserveRefusal {
        let own_order = (self.user_id == buyer).then_some(self.id);
        match self.status {
            OrderStatus::Complete => ReserveRefusal::Sold { own_order },
            OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Cancelled
            | OrderStatus::Unknown => {
                ReserveRefusal::Reserved { until: self.expires_at, own_order }
            }
        }
    }
}
