//! orders: an order, what happens to it, and the unique indexes.

use super::event::{Event, OrderStatus};
use super::places::Places;
use super::{Change, OrderIndex, Version};

/// One buyer's order. Inserting it *is* the reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    pub index: OrderIndex,
    pub version: Version,
    pub status: OrderStatus,
    pub reason: Option<CancelReason>,
    pub places: Places,
    /// Whether its places are taken: while it is live, and after a refund that doesn't put them back on sale. The unique
    /// index on the places reads this.
    pub occupies: bool,
    /// Whether it is live and yet to be paid: the unique index on the buyer's slots reads this.
    pub unpaid: bool,
    /// Which of its buyer's reservations it is, while it is unpaid.
    pub slot: u8,
    /// The listing as it was ordered.
    pub content: u8,
    pub answer: Option<Answer>,
    /// The greatest version of its payment that was seen: an older event of the payment says nothing.
    pub payment_version: Version,
    /// It requires that its payment is released, or refunded.
    pub refund_required: bool,
    /// Its payment has ended without a charge, or the charge is refunded.
    pub settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelReason {
    User,
    Expired,
    PaymentFailed,
    Refunded,
    TicketDeleted,
}

/// The order's decision about its payment: made once, never revised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Completed,
    Rejected,
}

/// Orders' replica of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListingReplica {
    pub version: Version,
    pub content: u8,
    pub quantity: u8,
    pub deleted: bool,
}

impl Order {
    pub fn reserve(index: OrderIndex, places: Places, slot: u8, content: u8) -> Change<Order> {
        Change::with_order_event(Order {
            index,
            version: 1,
            status: OrderStatus::Created,
            reason: None,
            places,
            occupies: true,
            unpaid: true,
            slot,
            content,
            answer: None,
            payment_version: 0,
            refund_required: false,
            settled: false,
        })
    }

    pub fn is_live(self) -> bool {
        self.status != OrderStatus::Cancelled
    }

    /// tickets has the reservation.
    pub fn confirm(self) -> Option<Change<Order>> {
        let confirmed =
            || Change::without_event(self.with_status(OrderStatus::AwaitingPayment, None));
        (self.status == OrderStatus::Created).then(confirmed)
    }

    /// Ends an unpaid order.
    pub fn cancel(self, why: CancelReason) -> Option<Change<Order>> {
        let cancelled =
            || Change::with_order_event(self.with_status(OrderStatus::Cancelled, Some(why)));
        self.unpaid.then(cancelled)
    }

    /// Whether the places of a payment that becomes known now have to be chosen again: the order has expired meanwhile.
    pub fn is_paid_late(self, version: Version) -> bool {
        self.reason == Some(CancelReason::Expired) && self.is_to_be_answered(version)
    }

    /// The money is authorised, or was even captured. `again`: the places that it takes again, if it has expired
    /// meanwhile.
    pub fn paid(self, version: Version, again: Option<Places>) -> Option<Change<Order>> {
        if !self.is_to_be_answered(version) {
            return None;
        }
        let seen = Order { payment_version: version, ..self };
        let complete = |order: Order| {
            let order = order.with_status(OrderStatus::Complete, None);
            Change::with_order_event(Order { answer: Some(Answer::Completed), ..order })
        };
        match (self.status, again) {
            // An order that the database doesn't call cancelled is live, even past its expiry.
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => Some(complete(seen)),
            (OrderStatus::Cancelled, Some(places)) => Some(complete(Order { places, ..seen })),
            (OrderStatus::Cancelled, None) => {
                let order = seen.with_status(OrderStatus::Cancelled, self.reason);
                Some(Order { answer: Some(Answer::Rejected), ..order }.requiring_refund())
            }
            // It has an answer.
            (OrderStatus::Complete, _) => None,
        }
    }

    /// The payment can't succeed, or what was authorised can't be captured any more.
    ///
    /// It ends a complete order as well, unless the failure is older than the success that was answered. One that is seen
    /// before an older success prevents that from being answered.
    pub fn payment_failed(self, version: Version) -> Option<Change<Order>> {
        if version <= self.payment_version {
            return None;
        }
        let settled = self.settled || self.answer.is_some();
        let seen = Order { payment_version: version, settled, ..self };
        let reason = Some(CancelReason::PaymentFailed);
        Some(if self.is_live() {
            Change::with_order_event(seen.with_status(OrderStatus::Cancelled, reason))
        } else {
            seen.with_status(OrderStatus::Cancelled, self.reason).updated()
        })
    }

    /// The payment was released, or refunded, whatever the order has become. `relist`: its places are for sale again.
    pub fn payment_returned(self, version: Version, relist: bool) -> Option<Change<Order>> {
        if self.settled {
            return None;
        }
        let seen = Order { payment_version: version, settled: true, ..self };
        Some(if self.is_live() {
            let order = seen.with_status(OrderStatus::Cancelled, Some(CancelReason::Refunded));
            Change::with_order_event(Order { occupies: !relist, ..order })
        } else {
            seen.with_status(OrderStatus::Cancelled, self.reason).updated()
        })
    }

    fn is_to_be_answered(self, version: Version) -> bool {
        self.answer.is_none() && !self.settled && version > self.payment_version
    }

    /// What payments owes, until it is settled.
    pub fn owed(self) -> Option<Event> {
        let is_owed = self.refund_required && !self.settled;
        is_owed.then_some(Event::RefundRequired { order: self.index })
    }

    /// The event of its present state.
    pub fn event(self) -> Event {
        let Order { index: order, version, status, occupies, places, .. } = self;
        Event::Order { order, version, status, occupies, places, seen: self.payment_version }
    }

    fn updated(self) -> Change<Order> {
        let Order { index: order, version, status, payment_version: seen, .. } = self;
        Change::with_event(self, Event::OrderUpdated { order, version, status, seen })
    }

    /// The listing is deleted: an unpaid order ends, a paid one requires a refund, once.
    pub fn ticket_deleted(self) -> Option<Change<Order>> {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                self.cancel(CancelReason::TicketDeleted)
            }
            OrderStatus::Complete => (!self.refund_required)
                .then(|| self.with_status(OrderStatus::Complete, None).requiring_refund()),
            OrderStatus::Cancelled => None,
        }
    }

    fn with_status(self, status: OrderStatus, reason: Option<CancelReason>) -> Order {
        let (unpaid, is_live) = match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => (true, true),
            OrderStatus::Complete => (false, true),
            OrderStatus::Cancelled => (false, false),
        };
        // What a refund has left occupied stays so.
        let occupies = is_live || (self.occupies && self.status == OrderStatus::Cancelled);
        Order { version: self.version + 1, status, reason, unpaid, occupies, ..self }
    }

    fn requiring_refund(self) -> Change<Order> {
        let order = Order { refund_required: true, ..self };
        Change::with_event(order, Event::RefundRequired { order: order.index })
    }
}

impl Change<Order> {
    fn with_order_event(order: Order) -> Change<Order> {
        Change::with_event(order, order.event())
    }
}

impl ListingReplica {
    /// Applies an event, if it is newer.
    pub fn follow(known: Option<ListingReplica>, event: Event) -> Option<ListingReplica> {
        let replica = match event {
            Event::Listed { version, content, quantity } => {
                ListingReplica { version, content, quantity, deleted: false }
            }
            Event::Deleted { version } => {
                let known = known.map_or((0, 0), |known| (known.content, known.quantity));
                ListingReplica { version, content: known.0, quantity: known.1, deleted: true }
            }
            Event::Reserved { .. }
            | Event::Order { .. }
            | Event::OrderUpdated { .. }
            | Event::RefundRequired { .. }
            | Event::Expired { .. }
            | Event::PaymentCreated { .. }
            | Event::PaymentCaptured { .. }
            | Event::PaymentFailed { .. }
            | Event::PaymentReleased { .. }
            | Event::PaymentRefunded { .. } => return None,
        };
        known.is_none_or(|known| known.version < replica.version).then_some(replica)
    }
}
