//! The expiry schedule of one order's reservation, and its transitions. Pure: the time is a parameter.

use common::Time;
use common::events::{Expiration, ExpirationComplete, Order, OrderStatus};
use common::ids::OrderId;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

/// When a reservation expires, by the newest event of its order. One per order, kept indefinitely: an `order.created` that
/// arrives after the order has ended must not schedule it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    #[serde(rename = "_id")]
    pub order_id: OrderId,
    pub expires_at: Time,
    pub state: State,
    /// The greatest version of the order that was applied.
    pub order_version: i64,
    /// The schedule's own version, incremented by each change.
    pub version: i64,
    /// How often `expiration.complete` was published.
    #[serde(rename = "firings")]
    pub expirations: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The reservation is live, and its expiry will be published.
    Scheduled,
    /// The expiry was published.
    #[serde(rename = "fired")]
    Expired,
    /// The order is cancelled or complete: there is nothing to publish.
    #[serde(rename = "over")]
    Ended,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl State {
    /// Those that this version knows, as they are stored.
    pub const KNOWN: [&str; 3] = ["scheduled", "fired", "over"];
}

/// What is to be done about a schedule at a given time.
#[derive(Debug)]
pub enum ExpiryDecision {
    /// The reservation has expired: this change is to be stored, with its event.
    Expire(Box<Change<Schedule>>),
    /// The reservation expires at this time.
    NotDue(Time),
    /// The expiry was published before, or the order has ended.
    NothingToDo,
}

impl Schedule {
    /// The schedule of an order that is new to this service.
    pub fn of(order: &Order) -> Schedule {
        Schedule {
            order_id: order.id,
            expires_at: order.expires_at,
            state: match order.status {
                // An order of an unknown state isn't consumed; if it were, orders would decide whether it expires.
                OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Unknown => {
                    State::Scheduled
                }
                OrderStatus::Complete | OrderStatus::Cancelled => State::Ended,
            },
            order_version: order.version,
            version: 1,
            expirations: 0,
        }
    }

    /// Applies the state of the order that an event carries; none if it isn't newer than what was applied before.
    ///
    /// The newest version of the order alone counts, whatever came before: an order that is republished as live after a
    /// restore is scheduled, and expires, again.
    pub fn follow(&self, order: &Order) -> Option<Schedule> {
        (order.version > self.order_version).then(|| Schedule {
            version: self.version + 1,
            expirations: self.expirations,
            ..Schedule::of(order)
        })
    }

    /// When its timer is due; none if it needs no timer.
    pub fn due_at(&self) -> Option<Time> {
        match self.state {
            State::Scheduled => Some(self.expires_at),
            State::Expired | State::Ended | State::Unknown => None,
        }
    }

    /// Decides whether the reservation has expired. The event has the schedule's new version, so that a later expiry of
    /// the same order is a new message and not a duplicate.
    pub fn expire(&self, now: Time) -> ExpiryDecision {
        match self.due_at() {
            None => ExpiryDecision::NothingToDo,
            Some(time) if now < time => ExpiryDecision::NotDue(time),
            Some(_) => {
                let version = self.version + 1;
                let expirations = self.expirations + 1;
                let expired =
                    Schedule { state: State::Expired, version, expirations, ..self.clone() };
                let event = expired.to_event();
                ExpiryDecision::Expire(Box::new(Change::with_event(expired, &event)))
            }
        }
    }

    /// The event that describes the current state, for republishing; none unless the expiry was published.
    pub fn snapshot_event(&self) -> Option<OutboxMessage> {
        match self.state {
            State::Expired => Some(OutboxMessage::of(&self.to_event())),
            State::Scheduled | State::Ended | State::Unknown => None,
        }
    }

    fn to_event(&self) -> ExpirationComplete {
        ExpirationComplete(Expiration { order_id: self.order_id, version: self.version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_states_are_spelled_as_they_are_stored() {
        let stored = [State::Scheduled, State::Expired, State::Ended]
            .map(|state| bson::serialize_to_bson(&state).unwrap());
        assert_eq!(stored, State::KNOWN.map(bson::Bson::from));
    }
}
