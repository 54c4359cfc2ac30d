//! payments, as orders sees it: the money of one order. What happens at Stripe is not modelled here: a payment may succeed
//! or fail at any time after its order was placed, however late that becomes known.

use super::event::Event;
use super::{Change, OrderIndex};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payment {
    None,
    Completed,
    /// `relist`: the places of the order are put back on sale, which the seller decides. (It doesn't matter if it is
    /// orders that requires the refund.)
    Refunding {
        relist: bool,
    },
    Refunded {
        relist: bool,
    },
    Failed,
}

impl Payment {
    pub fn succeed(self, order: OrderIndex) -> Option<Change<Payment>> {
        let is_open = self == Payment::None;
        is_open.then_some(Change::with_event(Payment::Completed, Event::Paid { order }))
    }

    pub fn fail(self, order: OrderIndex) -> Option<Change<Payment>> {
        let is_open = self == Payment::None;
        is_open.then_some(Change::with_event(Payment::Failed, Event::Failed { order }))
    }

    /// The seller refunds it, or orders requires that.
    pub fn refund(self, relist: bool) -> Option<Change<Payment>> {
        let is_paid = self == Payment::Completed;
        is_paid.then_some(Change::without_event(Payment::Refunding { relist }))
    }

    pub fn finish_refund(self, order: OrderIndex) -> Option<Change<Payment>> {
        match self {
            Payment::Refunding { relist } => Some(Change::with_event(
                Payment::Refunded { relist },
                Event::Refunded { order, relist },
            )),
            Payment::None | Payment::Completed | Payment::Refunded { .. } | Payment::Failed => None,
        }
    }
}
