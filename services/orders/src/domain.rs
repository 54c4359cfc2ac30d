//! An order and its transitions: pure, so that the model and the tests can call the very same functions.
//!
//! Legal moves: `created` → `awaiting:payment` → `complete`, either of the first two → `cancelled`,
//! `created` → `complete` (a charge may overtake the lock), `complete` → `cancelled` by a refund alone,
//! and `cancelled` because expired → `complete` by a late payment that is honoured.

mod hold;
mod lost;
mod person;
mod retold;
mod ticket;

use std::time::Duration;

use common::Time;
use common::events::{
    self, CancelReason, OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired,
    OrderStatus, OrderUpdated, OrderedTicket, RefundReason, RefundRequired,
};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::permissions::Owners;
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage};

pub use hold::Retake;
pub use person::Person;
pub use ticket::{Ticket, Write};

/// One buyer's hold of a ticket, and what became of it. Never deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    #[serde(rename = "_id")]
    pub id: OrderId,
    pub version: i64,
    pub created_at: Time,
    /// The buyer.
    pub user_id: UserId,
    pub ticket_id: TicketId,
    pub seller_id: UserId,
    /// The ticket as it was ordered: this is what is bought, whatever becomes of the listing.
    pub ticket: OrderedTicket,
    pub status: OrderStatus,
    pub cancel_reason: Option<CancelReason>,
    /// Whether it has the ticket; the unique index on live orders reads this.
    pub active: bool,
    /// Whether it is live and yet to be paid; the sweep reads this.
    pub unpaid: bool,
    pub expires_at: Time,
    /// Every hold number that it has had, the present one last.
    pub holds: Vec<i64>,
    pub payment: Option<Payment>,
    /// Why what was paid for this order is to be given back, once that was asked for.
    pub refund_required: Option<RefundReason>,
}

/// What an order knows of its payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    /// The highest version seen.
    pub version: i64,
    /// What the order said to the charge: given once, never revised.
    pub answer: Option<Answer>,
    pub refunded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Completed,
    RefundRequired,
}

/// Why a buyer can't give a hold up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its time has run out.
    Expired,
    /// It has ended otherwise.
    Ended,
    /// It is paid: only its seller can undo that.
    Complete,
}

/// What the passing of time means for an order.
#[derive(Clone, Debug)]
pub enum Expiry {
    /// Its time has run out: this ends it.
    Due(Box<Change<Order>>),
    /// It is live until then.
    NotBefore(Time),
    /// It has ended, or is paid.
    Nothing,
}

impl Aggregate for Order {
    const COLLECTION: &'static str = "orders";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.retelling()
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
        self.holds.iter_mut().for_each(|hold| *hold += by);
    }
}

impl Order {
    /// A new hold. Storing it *is* the reservation.
    pub fn reserve(
        id: OrderId,
        buyer: UserId,
        ticket: OrderedTicket,
        hold: i64,
        now: Time,
        reservation: Duration,
    ) -> Change<Order> {
        let order = Order {
            id,
            version: 1,
            created_at: now,
            user_id: buyer,
            ticket_id: ticket.id,
            seller_id: ticket.user_id,
            ticket,
            status: OrderStatus::Created,
            cancel_reason: None,
            active: true,
            unpaid: true,
            expires_at: now + reservation,
            holds: vec![hold],
            payment: None,
            refund_required: None,
        };
        let event = OrderCreated(order.event());
        Change::with_event(order, &event)
    }

    /// tickets has locked the ticket for this order.
    pub fn confirm_lock(&self, hold: i64) -> Option<Change<Order>> {
        let waits = match self.status {
            OrderStatus::Created => self.hold() == hold,
            OrderStatus::AwaitingPayment | OrderStatus::Complete | OrderStatus::Cancelled => false,
        };
        waits.then(|| {
            let order = self.moved(OrderStatus::AwaitingPayment, None);
            let event = OrderUpdated(order.event());
            Change::with_event(order, &event)
        })
    }

    /// Ends an order that isn't paid. None: it isn't one.
    pub fn cancel(&self, why: CancelReason) -> Option<Change<Order>> {
        self.unpaid.then(|| {
            let order = self.moved(OrderStatus::Cancelled, Some(why));
            let event = OrderCancelled(order.event());
            Change::with_event(order, &event)
        })
    }

    /// Its buyer gives it up. None: that was done before.
    pub fn given_up(&self, now: Time) -> Result<Option<Change<Order>>, Kept> {
        match self.status_at(now) {
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => {
                Ok(self.cancel(CancelReason::User))
            }
            (OrderStatus::Cancelled, Some(CancelReason::User)) => Ok(None),
            (OrderStatus::Cancelled, Some(CancelReason::Expired)) => Err(Kept::Expired),
            (OrderStatus::Cancelled, _) => Err(Kept::Ended),
            (OrderStatus::Complete, _) => Err(Kept::Complete),
        }
    }

    /// Ends an unpaid order whose time has run out; only our own clock does that.
    pub fn expire(&self, now: Time) -> Expiry {
        match self.cancel(CancelReason::Expired) {
            None => Expiry::Nothing,
            Some(_) if now < self.expires_at => Expiry::NotBefore(self.expires_at),
            Some(change) => Expiry::Due(Box::new(change)),
        }
    }

    /// A charge has succeeded. None: it was answered before, or is refunded already.
    ///
    /// `retake` counts only for an order that ended because its time ran out.
    pub fn paid(&self, payment: &events::Payment, retake: Retake) -> Option<Change<Order>> {
        if self.payment.as_ref().is_some_and(|seen| seen.answer.is_some() || seen.refunded) {
            return None;
        }
        let seen = |answer| {
            Some(Payment {
                id: payment.id,
                version: payment.version.max(self.payment_version()),
                answer: Some(answer),
                refunded: false,
            })
        };
        let complete = |mut order: Order| {
            order.payment = seen(Answer::Completed);
            let event = OrderCompleted(order.event());
            Change::with_event(order, &event)
        };
        match (self.status, self.cancel_reason, retake) {
            // What the database doesn't call cancelled is live, whatever the time.
            (OrderStatus::Created | OrderStatus::AwaitingPayment, ..) => {
                Some(complete(self.moved(OrderStatus::Complete, None)))
            }
            (OrderStatus::Cancelled, Some(CancelReason::Expired), Retake::Free { hold }) => {
                let mut order = self.moved(OrderStatus::Complete, None);
                order.holds.push(hold);
                Some(complete(order))
            }
            (OrderStatus::Cancelled, reason, _) => {
                let why = if reason == Some(CancelReason::Expired) {
                    RefundReason::TooLate
                } else {
                    RefundReason::OrderCancelled
                };
                let mut order = self.moved(OrderStatus::Cancelled, reason);
                order.payment = seen(Answer::RefundRequired);
                Some(order.requiring_refund(payment.id, why))
            }
            // Complete without an answer can't be: completing is an answer.
            (OrderStatus::Complete, ..) => None,
        }
    }

    /// The last card was declined, or the payment ended unpaid.
    pub fn payment_failed(&self, payment: &events::FailedPayment) -> Option<Change<Order>> {
        if payment.r#final { self.cancel(CancelReason::PaymentFailed) } else { None }
    }

    /// What was paid has been given back: legal in every state.
    pub fn refunded(&self, refund: &events::Refund) -> Option<Change<Order>> {
        if self.payment.as_ref().is_some_and(|seen| seen.refunded) {
            return None;
        }
        let was_live = self.active;
        let reason = if was_live { Some(CancelReason::Refunded) } else { self.cancel_reason };
        let mut order = self.moved(OrderStatus::Cancelled, reason);
        order.payment = Some(Payment {
            id: refund.id,
            version: refund.version.max(self.payment_version()),
            answer: self.payment.as_ref().and_then(|seen| seen.answer),
            refunded: true,
        });
        if was_live {
            let event = OrderCancelled(order.event());
            Some(Change::with_event(order, &event))
        } else {
            Some(Change::without_event(order))
        }
    }

    /// The ticket was deleted: an unpaid order ends, a paid one is to be refunded, once.
    pub fn ticket_deleted(&self) -> Option<Change<Order>> {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                self.cancel(CancelReason::TicketDeleted)
            }
            OrderStatus::Complete if self.refund_required.is_none() => {
                let payment = self.payment.as_ref()?.id;
                let order = self.moved(OrderStatus::Complete, None);
                Some(order.requiring_refund(payment, RefundReason::TicketDeleted))
            }
            OrderStatus::Complete | OrderStatus::Cancelled => None,
        }
    }

    /// How it stands at this moment for a reader: a hold that has run out is cancelled, also before
    /// anybody has written that down.
    pub fn status_at(&self, now: Time) -> (OrderStatus, Option<CancelReason>) {
        if self.unpaid && self.expires_at <= now {
            (OrderStatus::Cancelled, Some(CancelReason::Expired))
        } else {
            (self.status, self.cancel_reason)
        }
    }

    pub fn hold(&self) -> i64 {
        self.holds.last().copied().unwrap_or(0)
    }

    /// Whom this side of a sale may reach: buyer and seller learn of each other when it is paid.
    pub fn other_side(&self, user: UserId) -> Option<UserId> {
        match self.status {
            OrderStatus::Complete if user == self.user_id => Some(self.seller_id),
            OrderStatus::Complete if user == self.seller_id => Some(self.user_id),
            OrderStatus::Complete
            | OrderStatus::Created
            | OrderStatus::AwaitingPayment
            | OrderStatus::Cancelled => None,
        }
    }

    pub fn owners(&self) -> Owners {
        Owners { seller: self.seller_id, buyer: Some(self.user_id) }
    }

    fn payment_version(&self) -> i64 {
        self.payment.as_ref().map_or(0, |seen| seen.version)
    }

    fn moved(&self, status: OrderStatus, cancel_reason: Option<CancelReason>) -> Order {
        let unpaid = match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => true,
            OrderStatus::Complete | OrderStatus::Cancelled => false,
        };
        Order {
            version: self.version + 1,
            status,
            cancel_reason,
            active: status.is_live(),
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
        OrderRefundRequired(RefundRequired { order_id, payment_id, why, version })
    }

    /// The order as the others are told of it.
    fn event(&self) -> events::Order {
        events::Order {
            id: self.id,
            hold: self.hold(),
            user_id: self.user_id,
            status: self.status,
            cancel_reason: self.cancel_reason,
            expires_at: self.expires_at,
            ticket: self.ticket.clone(),
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests;
