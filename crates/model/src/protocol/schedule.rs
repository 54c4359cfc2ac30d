//! expiration: when an order's reservation expires.

use super::event::{Event, OrderStatus};
use super::{Change, OrderIndex, Version};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    pub order_version: Version,
    /// The timer is set.
    pub is_due: bool,
}

impl Schedule {
    /// Applies a newer state of the order. A timer that has fired isn't set again.
    pub fn follow(known: Option<Schedule>, event: Event) -> Option<Schedule> {
        let Event::Order { version, status, .. } = event else { return None };
        let is_unpaid = match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => true,
            OrderStatus::Complete | OrderStatus::Cancelled => false,
        };
        match known {
            Some(known) if known.order_version >= version => None,
            Some(known) => {
                Some(Schedule { order_version: version, is_due: known.is_due && is_unpaid })
            }
            None => Some(Schedule { order_version: version, is_due: is_unpaid }),
        }
    }

    pub fn fire(self, order: OrderIndex) -> Option<Change<Schedule>> {
        let fired = Schedule { is_due: false, ..self };
        self.is_due.then_some(Change::with_event(fired, Event::Expired { order }))
    }
}
