//! What replicas of the previous version need of an order while both run. To them a listing is one ticket, and the
//! reservations of a ticket are distinguished by a fencing number.
//!
//! They can't read an order without a number, and of two orders of a ticket they take the one with the greater number
//! for the newer. A number that is made of the time is greater than all that they have counted, and needs no query.
//! `docs/operating.md` says when this can be removed.

use common::ids::OrderId;
use common::{Place, Time};

use super::Order;

/// The bits of a number below the milliseconds.
const RANDOM_BITS: u32 = 21;

/// The fencing number of a new order: by time, then by chance.
pub fn hold_of(id: OrderId) -> i64 {
    let created_at = id.created_at().unwrap_or(Time::from_millis(0));
    hold_at(created_at) | (id.random_bits() & ((1 << RANDOM_BITS) - 1))
}

fn hold_at(time: Time) -> i64 {
    time.millis() << RANDOM_BITS
}

impl Order {
    /// The current fencing number.
    pub fn hold(&self) -> i64 {
        self.holds.last().copied().unwrap_or(0)
    }

    /// The number of an order that takes places again at this time.
    pub(super) fn next_hold(&self, now: Time) -> i64 {
        hold_at(now).max(self.hold()) + 1
    }

    /// Whether the order counts for the index by which the previous version lets a ticket have one live order: it has
    /// the place that is the only one to that version.
    pub(super) fn is_active(&self) -> bool {
        self.occupies && self.places.contains(&Place::FIRST)
    }
}
