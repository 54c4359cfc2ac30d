//! The money of one order, as orders sees it. What happens at Stripe is another model's concern (`cards`): here a payment
//! may be authorised or fail at any time after its order was placed, however late that becomes known.

use crate::protocol::event::Event;
use crate::protocol::{Change, OrderIndex, Version};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Money {
    None,
    /// Authorised, or captured.
    Held,
    /// It is on its way back. `relist`: the places of the order are put back on sale, which the seller decides. (If it is
    /// orders that requires the refund, it doesn't matter.)
    Returning {
        relist: bool,
    },
    /// Released, or refunded.
    Returned {
        relist: bool,
    },
    Failed,
}

pub const AUTHORISED: Version = 1;
const ENDED: Version = 2;

impl Money {
    pub fn authorise(self, order: OrderIndex) -> Option<Change<Money>> {
        let event = Event::PaymentCreated { order, version: AUTHORISED };
        (self == Money::None).then_some(Change::with_event(Money::Held, event))
    }

    /// No card is accepted, or what was authorised can't be captured.
    pub fn fail(self, order: OrderIndex) -> Option<Change<Money>> {
        let event = Event::PaymentFailed { order, version: ENDED };
        let is_open = matches!(self, Money::None | Money::Held);
        is_open.then_some(Change::with_event(Money::Failed, event))
    }

    /// The seller refunds it, or orders requires that.
    pub fn begin_return(self, relist: bool) -> Option<Change<Money>> {
        (self == Money::Held).then_some(Change::without_event(Money::Returning { relist }))
    }

    pub fn finish_return(self, order: OrderIndex) -> Option<Change<Money>> {
        let Money::Returning { relist } = self else { return None };
        let event = Event::PaymentRefunded { order, version: ENDED, relist };
        Some(Change::with_event(Money::Returned { relist }, event))
    }
}
