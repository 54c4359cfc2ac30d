//! An order and its transitions: pure functions, which the model and the tests call as well.
//!
//! Legal transitions: `created` → `awaiting:payment` → `complete`, either of the first two → `cancelled`,
//! `created` → `complete` (a payment may overtake the confirmation by tickets), `complete` → `cancelled` only by its payment
//! (refunded, released, impossible to capture, a lost dispute), and `cancelled` because expired → `complete` by a late
//! payment that is accepted.

mod handover;
mod late_payment;
mod orphans;
mod outcomes;
mod places;
mod refusal;
mod slots;
mod snapshot;
mod stored;
mod ticket_replica;
mod user_replica;

use std::time::Duration;

use common::events::{
    self, CancelReason, OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired,
    OrderStatus, OrderedTicket, RefundReason, RefundRequired, Subject,
};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::listing::Delivery;
use common::permissions::Owners;
use common::{Money, Place, Quantity, Time};
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage};

pub use handover::{Handover, HandoverRefusal, HandoverState, Report};
pub use late_payment::Retake;
pub use places::choose_places;
pub use refusal::{CancelRefusal, ReserveRefusal};
pub use slots::{Slot, Slots};
pub use ticket_replica::TicketReplica;
pub use user_replica::UserReplica;

/// One buyer's reservation of places of a listing, and what became of it. Never deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "stored::StoredOrder", into = "stored::StoredOrder")]
pub struct Order {
    pub id: OrderId,
    pub version: i64,
    pub created_at: Time,
    /// The buyer.
    pub user_id: UserId,
    pub ticket_id: TicketId,
    pub seller_id: UserId,
    /// The ticket as it was ordered: this is what is bought, however the listing changes.
    pub ticket: OrderedTicket,
    pub status: OrderStatus,
    pub cancel_reason: Option<CancelReason>,
    /// How many places it is for.
    pub quantity: Quantity,
    /// The places that it has, or had last. None if they aren't known, of an order that was lost by a restore.
    pub places: Vec<Place>,
    /// Whether nobody else can have its places; the unique index on places reads this.
    pub occupies: bool,
    /// Whether it goes on occupying its places after its end: it was refunded without putting them back on sale.
    pub withdrawn: bool,
    /// Whether it is live and yet to be paid; the unique index on slots and the sweep read this.
    pub unpaid: bool,
    /// Which of its buyer's slots it takes while it is unpaid. (None of an order of version 0.1.0.)
    pub slot: Option<Slot>,
    /// What the buyer pays for all places.
    pub total: Money,
    pub expires_at: Time,
    /// When its payment completed it, by our clock. (None of an order that version 0.1.0 has completed.)
    pub paid_at: Option<Time>,
    /// Whether its charge is all that is known of it: the order itself was lost by a restore.
    pub orphaned_charge: bool,
    pub payment: Option<Payment>,
    /// How far the seller's delivery has come, once one of the parties has said something about it.
    pub handover: Option<Handover>,
    /// Why its payment must be refunded, once that is required.
    pub refund_required: Option<RefundReason>,
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    /// The greatest version seen: an older event of the payment says nothing.
    pub version: i64,
    /// The order's decision about it: made once, never revised.
    pub answer: Option<Answer>,
    /// Whether it has ended without a charge, or the charge has gone back.
    #[serde(rename = "refunded")]
    pub settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Completed,
    RefundRequired,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// Whether an order expires.
#[derive(Clone, Debug)]
pub enum Expiry {
    /// It has expired: this change ends it.
    Due(Box<Change<Order>>),
    /// It is live until then.
    NotBefore(Time),
    /// It has ended, or is paid.
    Nothing,
}

impl Aggregate for Order {
    const COLLECTION: &'static str = "orders";
    const OBLIGES: bool = true;
    const KEEPS_HISTORY: bool = true;
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn detail(&self, event: Subject) -> Option<&'static str> {
        if event == Subject::OrderCancelled {
            self.cancel_reason.map(CancelReason::as_str)
        } else if event == Subject::OrderRefundRequired {
            self.refund_required.map(RefundReason::as_str)
        } else if event == Subject::OrderUpdated && self.status == OrderStatus::Complete {
            // (One of an order that has ended is about its payment.)
            self.handover.as_ref().map(|handover| handover.state.as_str())
        } else {
            None
        }
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.snapshot()
    }
    /// The release or the refund that payments owes.
    fn unanswered(&self) -> Option<OutboxMessage> {
        let is_settled = self.payment.as_ref().is_some_and(|payment| payment.settled);
        let OrderRefundRequired(event) = self.required_refund().filter(|_| !is_settled)?;
        let event = RefundRequired { reminder: true, ..event };
        Some(OutboxMessage::of(&OrderRefundRequired(event)))
    }
    fn has_unknown_value(&self) -> bool {
        let answer = self.payment.as_ref().and_then(|payment| payment.answer);
        self.status == OrderStatus::Unknown
            || self.cancel_reason == Some(CancelReason::Unknown)
            || self.refund_required == Some(RefundReason::Unknown)
            || answer == Some(Answer::Unknown)
            || self.ticket.listing.delivery == Delivery::Unknown
            || self.handover.as_ref().is_some_and(|it| it.state == HandoverState::Unknown)
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

impl Order {
    /// A new order for these places. Inserting it *is* the reservation.
    pub fn reserve(
        id: OrderId,
        buyer: UserId,
        ticket: OrderedTicket,
        places: Vec<Place>,
        slot: Slot,
        now: Time,
        ttl: Duration,
    ) -> Change<Order> {
        let quantity = Quantity::of(&places);
        let order = Order {
            id,
            version: 1,
            created_at: now,
            user_id: buyer,
            ticket_id: ticket.id,
            seller_id: ticket.user_id,
            quantity,
            places,
            occupies: true,
            withdrawn: false,
            unpaid: true,
            slot: Some(slot),
            total: quantity.times(ticket.listing.price),
            ticket,
            status: OrderStatus::Created,
            cancel_reason: None,
            expires_at: now + ttl,
            paid_at: None,
            orphaned_charge: false,
            payment: None,
            handover: None,
            refund_required: None,
        };
        let event = OrderCreated(order.event());
        Change::with_event(order, &event)
    }

    /// Ends an unpaid order. None: it has ended, or is paid.
    pub fn cancel(&self, why: CancelReason) -> Option<Change<Order>> {
        self.unpaid.then(|| {
            let order = self.with_status(OrderStatus::Cancelled, Some(why));
            let event = OrderCancelled(order.event());
            Change::with_event(order, &event)
        })
    }

    /// Ends an unpaid order because its buyer cancels it. None: the buyer did so before.
    pub fn cancel_by_buyer(&self, now: Time) -> Result<Option<Change<Order>>, CancelRefusal> {
        match self.status_at(now) {
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => {
                Ok(self.cancel(CancelReason::User))
            }
            (OrderStatus::Cancelled, Some(CancelReason::User)) => Ok(None),
            (OrderStatus::Cancelled, Some(CancelReason::Expired)) => Err(CancelRefusal::Expired),
            (OrderStatus::Cancelled | OrderStatus::Unknown, _) => Err(CancelRefusal::Cancelled),
            (OrderStatus::Complete, _) => Err(CancelRefusal::Complete),
        }
    }

    /// Ends an unpaid order that has expired, which only our own clock decides.
    pub fn expire(&self, now: Time) -> Expiry {
        match self.cancel(CancelReason::Expired) {
            None => Expiry::Nothing,
            Some(_) if now < self.expires_at => Expiry::NotBefore(self.expires_at),
            Some(change) => Expiry::Due(Box::new(change)),
        }
    }

    /// The money is authorised, or was even charged. None: it was answered before, has gone back, or something newer of the
    /// payment was seen.
    ///
    /// `retake` matters only for an expired order.
    pub fn paid(
        &self,
        payment: &events::Payment,
        retake: Retake,
        now: Time,
    ) -> Option<Change<Order>> {
        if !self.is_to_be_answered(payment) {
            return None;
        }
        let seen = |answer| {
            Some(Payment {
                id: payment.id,
                version: payment.version,
                answer: Some(answer),
                settled: false,
            })
        };
        let complete = |mut order: Order| {
            order.payment = seen(Answer::Completed);
            order.paid_at = Some(now);
            let event = OrderCompleted(order.event());
            Change::with_event(order, &event)
        };
        match (self.status, self.cancel_reason, retake) {
            // An order that the database doesn't call cancelled is live, even past its expiry.
            (OrderStatus::Created | OrderStatus::AwaitingPayment, ..) => {
                Some(complete(self.with_status(OrderStatus::Complete, None)))
            }
            (OrderStatus::Cancelled, Some(CancelReason::Expired), Retake::Free { places }) => {
                let mut order = self.with_status(OrderStatus::Complete, None);
                order.places = places;
                Some(complete(order))
            }
            (OrderStatus::Cancelled, reason, _) => {
                let why = if reason == Some(CancelReason::Expired) {
                    RefundReason::TooLate
                } else {
                    RefundReason::OrderCancelled
                };
                let mut order = self.with_status(OrderStatus::Cancelled, reason);
                order.payment = seen(Answer::RefundRequired);
                Some(order.requiring_refund(payment.id, why))
            }
            // A complete order has an answer, and one of a later version isn't changed: these are unreachable.
            (OrderStatus::Complete | OrderStatus::Unknown, ..) => None,
        }
    }

    fn is_to_be_answered(&self, payment: &events::Payment) -> bool {
        self.payment.as_ref().is_none_or(|seen| {
            seen.answer.is_none() && !seen.settled && payment.version > seen.version
        })
    }

    /// The ticket was deleted: an unpaid order ends, a paid one requires a refund, once.
    pub fn ticket_deleted(&self) -> Option<Change<Order>> {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                self.cancel(CancelReason::TicketDeleted)
            }
            OrderStatus::Complete if self.refund_required.is_none() => {
                let payment = self.payment.as_ref()?.id;
                let order = self.with_status(OrderStatus::Complete, None);
                Some(order.requiring_refund(payment, RefundReason::TicketDeleted))
            }
            OrderStatus::Complete | OrderStatus::Cancelled | OrderStatus::Unknown => None,
        }
    }

    /// Its buyer or seller was banned: an unpaid order ends. A paid one requires a refund if that is wanted, once, and unless
    /// its event is over.
    pub fn party_banned(&self, refund: bool, now: Time) -> Option<Change<Order>> {
        let is_over = self.ticket.listing.date.is_some_and(|date| date <= now);
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                self.cancel(CancelReason::Banned)
            }
            OrderStatus::Complete if refund && !is_over && self.refund_required.is_none() => {
                let payment = self.payment.as_ref()?.id;
                let order = self.with_status(OrderStatus::Complete, None);
                Some(order.requiring_refund(payment, RefundReason::Banned))
            }
            OrderStatus::Complete | OrderStatus::Cancelled | OrderStatus::Unknown => None,
        }
    }

    /// The status that a reader sees at this time: an expired reservation is cancelled, even before the database
    /// records it.
    pub fn status_at(&self, now: Time) -> (OrderStatus, Option<CancelReason>) {
        if self.unpaid && self.expires_at <= now {
            (OrderStatus::Cancelled, Some(CancelReason::Expired))
        } else {
            (self.status, self.cancel_reason)
        }
    }

    /// The user whose contact details this user may see: buyer and seller see each other's once the order is paid.
    pub fn counterparty(&self, user: UserId) -> Option<UserId> {
        match self.status {
            OrderStatus::Complete if user == self.user_id => Some(self.seller_id),
            OrderStatus::Complete if user == self.seller_id => Some(self.user_id),
            OrderStatus::Complete
            | OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Cancelled
            | OrderStatus::Unknown => None,
        }
    }

    /// Whether it was complete once: it has a receipt from then on, also after a refund.
    pub fn was_paid(&self) -> bool {
        let answer = self.payment.as_ref().and_then(|payment| payment.answer);
        self.status == OrderStatus::Complete || answer == Some(Answer::Completed)
    }

    pub fn owners(&self) -> Owners {
        Owners { seller: self.seller_id, buyer: Some(self.user_id) }
    }

    fn with_status(&self, status: OrderStatus, cancel_reason: Option<CancelReason>) -> Order {
        let unpaid = match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => true,
            OrderStatus::Complete | OrderStatus::Cancelled | OrderStatus::Unknown => false,
        };
        Order {
            version: self.version + 1,
            status,
            cancel_reason,
            occupies: status.is_live() || self.withdrawn,
            unpaid,
            ..self.clone()
        }
    }

    fn requiring_refund(mut self, payment_id: PaymentId, why: RefundReason) -> Change<Order> {
        self.refund_required = Some(why);
        let event = self.refund_required_event(payment_id, why);
        Change::with_event(self, &event)
    }

    fn refund_required_event(
        &self,
        payment_id: PaymentId,
        why: RefundReason,
    ) -> OrderRefundRequired {
        let (order_id, version) = (self.id, self.version);
        OrderRefundRequired(RefundRequired { order_id, payment_id, why, reminder: false, version })
    }

    /// The order as events carry it.
    fn event(&self) -> events::Order {
        events::Order {
            id: self.id,
            user_id: self.user_id,
            status: self.status,
            cancel_reason: self.cancel_reason,
            expires_at: self.expires_at,
            quantity: self.quantity,
            places: self.places.clone(),
            occupies: self.occupies,
            total: self.total,
            ticket: self.ticket.clone(),
            payment_version: self.payment.as_ref().map(|payment| payment.version),
            paid_at: self.paid_at,
            handover: self.handover.as_ref().map(Handover::event),
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests;
