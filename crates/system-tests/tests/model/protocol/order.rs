//! orders: an order, what happens to it, and the unique indexes.

use super::event::Event;
use super::places::Places;
use super::{Change, OrderIndex, Version};

/// One buyer's order. Inserting it *is* the reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    pub index: OrderIndex,
    pub version: Version,
    pub status: Status,
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
    /// Its payment is refunded.
    pub refunded: bool,
    /// It requires the refund of its payment.
    pub refund_required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Created,
    AwaitingPayment,
    Complete,
    Cancelled,
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
    RefundRequired,
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
            status: Status::Created,
            reason: None,
            places,
            occupies: true,
            unpaid: true,
            slot,
            content,
            answer: None,
            refunded: false,
            refund_required: false,
        })
    }

    pub fn is_live(self) -> bool {
        self.status != Status::Cancelled
    }

    /// tickets has the reservation.
    pub fn confirm(self) -> Option<Change<Order>> {
        let confirmed = || Change::without_event(self.with_status(Status::AwaitingPayment, None));
        (self.status == Status::Created).then(confirmed)
    }

    /// Ends an unpaid order.
    pub fn cancel(self, why: CancelReason) -> Option<Change<Order>> {
        let cancelled = || Change::with_order_event(self.with_status(Status::Cancelled, Some(why)));
        self.unpaid.then(cancelled)
    }

    /// Whether the places of a payment that becomes known now have to be chosen again: the order has expired meanwhile.
    pub fn is_paid_late(self) -> bool {
        self.reason == Some(CancelReason::Expired) && self.answer.is_none() && !self.refunded
    }

    /// Its payment has succeeded. `again`: the places that it takes again, if it has expired meanwhile.
    pub fn paid(self, again: Option<Places>) -> Option<Change<Order>> {
        if self.answer.is_some() || self.refunded {
            return None;
        }
        let complete = |order: Order| {
            let order = order.with_status(Status::Complete, None);
            Change::with_order_event(Order { answer: Some(Answer::Completed), ..order })
        };
        match (self.status, again) {
            // An order that the database doesn't call cancelled is live, even past its expiry.
            (Status::Created | Status::AwaitingPayment, _) => Some(complete(self)),
            (Status::Cancelled, Some(places)) => Some(complete(Order { places, ..self })),
            (Status::Cancelled, None) => {
                let order = self.with_status(Status::Cancelled, self.reason);
                let answer = Some(Answer::RefundRequired);
                Some(Order { answer, ..order }.requiring_refund())
            }
            // It has an answer.
            (Status::Complete, _) => None,
        }
    }

    /// No card of the buyer's could be charged.
    pub fn payment_failed(self) -> Option<Change<Order>> {
        self.cancel(CancelReason::PaymentFailed)
    }

    /// The payment is refunded, whatever the order has become. `relist`: its places are for sale again.
    pub fn refunded(self, relist: bool) -> Option<Change<Order>> {
        if self.refunded {
            return None;
        }
        let refunded = Order { refunded: true, ..self };
        Some(if self.is_live() {
            let order = refunded.with_status(Status::Cancelled, Some(CancelReason::Refunded));
            Change::with_order_event(Order { occupies: !relist, ..order })
        } else {
            Change::without_event(refunded.with_status(self.status, self.reason))
        })
    }

    /// The listing is deleted: an unpaid order ends, a paid one requires a refund, once.
    pub fn ticket_deleted(self) -> Option<Change<Order>> {
        match self.status {
            Status::Created | Status::AwaitingPayment => self.cancel(CancelReason::TicketDeleted),
            Status::Complete => (!self.refund_required)
                .then(|| self.with_status(Status::Complete, None).requiring_refund()),
            Status::Cancelled => None,
        }
    }

    fn with_status(self, status: Status, reason: Option<CancelReason>) -> Order {
        let (unpaid, is_live) = match status {
            Status::Created | Status::AwaitingPayment => (true, true),
            Status::Complete => (false, true),
            Status::Cancelled => (false, false),
        };
        // What a refund has left occupied stays so.
        let occupies = is_live || (self.occupies && self.status == Status::Cancelled);
        Order { version: self.version + 1, status, reason, unpaid, occupies, ..self }
    }

    fn requiring_refund(self) -> Change<Order> {
        let order = Order { refund_required: true, ..self };
        Change::with_event(order, Event::RefundRequired { order: order.index })
    }
}

impl Change<Order> {
    fn with_order_event(order: Order) -> Change<Order> {
        let Order { index, version, status, occupies, places, .. } = order;
        Change::with_event(order, Event::Order { order: index, version, status, occupies, places })
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
            | Event::RefundRequired { .. }
            | Event::Expired { .. }
            | Event::Paid { .. }
            | Event::Failed { .. }
            | Event::Refunded { .. } => return None,
        };
        known.is_none_or(|known| known.version < replica.version).then_some(replica)
    }
}
