//! The schedule of one order's hold, and its transitions.

use common::Time;
use common::events::{Expiration, ExpirationComplete, Order, OrderStatus};
use common::ids::OrderId;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

/// When a hold runs out, as far as the order's events have told. One an order, kept for good: an order
/// that is over must still be known when its `order.created` comes late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    #[serde(rename = "_id")]
    pub order_id: OrderId,
    pub hold: i64,
    pub expires_at: Time,
    pub state: State,
    /// The greatest version of the order that was heard.
    pub order_version: i64,
    /// Its own version, raised by each change.
    pub version: i64,
    /// How often it was told that the hold has run out.
    pub firings: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The hold runs, and is to be told of when it has run out.
    Scheduled,
    /// It was told that the hold has run out.
    Fired,
    /// The order is cancelled or complete: there is nothing to tell.
    Over,
}

/// What there is to do about a schedule at a given moment.
#[derive(Debug)]
pub enum Firing {
    /// The hold has run out: this is to be written, with the event that tells it.
    Due(Box<Change<Schedule>>),
    /// Not before this moment.
    NotBefore(Time),
    /// It was told before, or the order is over.
    Nothing,
}

impl Schedule {
    /// The schedule of an order that was not heard of before.
    pub fn of(order: &Order) -> Schedule {
        Schedule {
            order_id: order.id,
            hold: order.hold,
            expires_at: order.expires_at,
            state: match order.status {
                OrderStatus::Created | OrderStatus::AwaitingPayment => State::Scheduled,
                OrderStatus::Complete | OrderStatus::Cancelled => State::Over,
            },
            order_version: order.version,
            version: 1,
            firings: 0,
        }
    }

    /// What becomes of it by an event of its order; none if it knows that or newer already.
    ///
    /// The newest version of the order is the whole truth, whatever went before: an order that orders
    /// tells again as live after a restore is scheduled and fired again.
    pub fn follow(&self, order: &Order) -> Option<Schedule> {
        (order.version > self.order_version).then(|| Schedule {
            version: self.version + 1,
            firings: self.firings,
            ..Schedule::of(order)
        })
    }

    /// When its timer is to ring; none if it needs no timer.
    pub fn rings_at(&self) -> Option<Time> {
        match self.state {
            State::Scheduled => Some(self.expires_at),
            State::Fired | State::Over => None,
        }
    }

    /// Tells that the hold has run out, if it has. The event has the schedule's new version, so that what
    /// is fired again later is a new message and no duplicate.
    pub fn fire(&self, now: Time) -> Firing {
        match self.rings_at() {
            None => Firing::Nothing,
            Some(time) if now < time => Firing::NotBefore(time),
            Some(_) => {
                let version = self.version + 1;
                let firings = self.firings + 1;
                let fired = Schedule { state: State::Fired, version, firings, ..self.clone() };
                let event = fired.event();
                Firing::Due(Box::new(Change::with_event(fired, &event)))
            }
        }
    }

    /// The event that tells again what was told; none if there is nothing to tell (any more).
    pub fn retelling(&self) -> Option<OutboxMessage> {
        match self.state {
            State::Fired => Some(OutboxMessage::of(&self.event())),
            State::Scheduled | State::Over => None,
        }
    }

    fn event(&self) -> ExpirationComplete {
        ExpirationComplete(Expiration { order_id: self.order_id, version: self.version })
    }
}
