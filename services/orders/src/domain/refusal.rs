//! Why the domain refuses what a user wants to do.

use common::events::OrderStatus;
use common::ids::{OrderId, UserId};
use common::{Money, Quantity, Time};

use super::Order;

/// Why places can't be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveRefusal {
    /// The event has already taken place.
    EventPast,
    /// The seller has stopped the sale, or no place will be sold any more.
    Closed,
    /// The price is not the one that the buyer expects.
    PriceChanged { expected: Money, current: Money },
    /// One order may not have so many.
    TooMany { max_per_order: Quantity },
    /// All are sold together.
    OnlyTogether { all: Quantity },
    /// They cost more than one payment can be.
    TooExpensive,
    /// Fewer are free than the buyer wants, but some are.
    NotEnoughLeft { available: Quantity },
    /// No place is free, and other orders have reserved some of them.
    Reserved {
        /// When the first of these reservations ends.
        until: Time,
        /// That order, if it is the buyer's own.
        own_order: Option<OrderId>,
    },
    /// Other orders have bought all places.
    Sold {
        /// The order that has bought the only place, if it is the buyer's own.
        own_order: Option<OrderId>,
    },
    /// The buyer has as many unpaid orders as anyone may have.
    TooManyReservations {
        /// How many that is.
        limit: u8,
        /// When the first of them ends.
        until: Time,
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
    /// The refusal of another attempt to reserve a place when none is free, and this order occupies one of them.
    pub fn blocks(&self, buyer: UserId) -> ReserveRefusal {
        let own_order = (self.user_id == buyer).then_some(self.id);
        match self.status {
            OrderStatus::Complete => ReserveRefusal::Sold { own_order },
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Unknown => {
                ReserveRefusal::Reserved { until: self.expires_at, own_order }
            }
            // It was refunded, and its places aren't on sale again.
            OrderStatus::Cancelled => ReserveRefusal::Closed,
        }
    }
}
