//! The replica of a ticket, and the effects of ticket events.

use common::events::{self, OrderedTicket};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use common::{Money, Time};
use serde::{Deserialize, Serialize};

use super::ReserveRefusal;

/// The copy of a ticket, fed by ticket events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketReplica {
    #[serde(rename = "_id")]
    pub id: TicketId,
    pub version: i64,
    /// The seller.
    pub user_id: UserId,
    #[serde(flatten)]
    pub listing: Listing,
    /// A tombstone is kept indefinitely: it must outlive every late message.
    pub deleted: bool,
    /// The greatest fencing number that tickets has published. After a restore it may be one that this database doesn't
    /// contain.
    #[serde(default)]
    pub hold: i64,
    /// The lower bound of further fencing numbers that a restore has set; no event changes it.
    #[serde(default, skip_serializing)]
    pub hold_floor: i64,
}

/// One of the writes that a ticket event requires.
///
/// Each is guarded and idempotent, and they are applied in order. A crash between two of them is safe: the event is
/// delivered again, and all of them are applied again.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The ticket is locked for this order under this fencing number: the order may await its payment.
    ConfirmLock { order: OrderId, hold: i64 },
    /// The replica becomes this, unless it is newer.
    Replica(TicketReplica),
    /// The ticket's live order ends.
    EndLiveOrder,
}

impl TicketReplica {
    pub fn created(event: &events::Ticket) -> Vec<Effect> {
        vec![Effect::Replica(TicketReplica::of(event, false))]
    }

    /// The effects first, the version mark last.
    pub fn updated(event: &events::Ticket) -> Vec<Effect> {
        let lock = event.order_id.map(|order| Effect::ConfirmLock { order, hold: event.hold });
        lock.into_iter().chain(TicketReplica::created(event)).collect()
    }

    /// Here the version mark is first: between the two writes, nobody may order the ticket any more.
    pub fn deleted(event: &events::Ticket) -> Vec<Effect> {
        vec![Effect::Replica(TicketReplica::of(event, true)), Effect::EndLiveOrder]
    }

    pub fn of(event: &events::Ticket, deleted: bool) -> TicketReplica {
        TicketReplica {
            id: event.id,
            version: event.version,
            user_id: event.user_id,
            listing: event.listing.clone(),
            deleted,
            hold: event.hold,
            hold_floor: 0,
        }
    }

    /// The fencing number of a new reservation must be greater than this, whatever the orders contain.
    pub fn last_hold(&self) -> i64 {
        self.hold.max(self.hold_floor)
    }

    /// Whether the listing allows a reservation at the price that the buyer expects, even if somebody has reserved the ticket.
    pub fn check_reservable(
        &self,
        expected: Option<Money>,
        now: Time,
    ) -> Result<(), ReserveRefusal> {
        if self.listing.date.is_some_and(|date| date <= now) {
            return Err(ReserveRefusal::EventPast);
        }
        let current = self.listing.price;
        match expected {
            Some(expected) if expected != current => {
                Err(ReserveRefusal::PriceChanged { expected, current })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub fn as_ordered(&self) -> OrderedTicket {
        OrderedTicket { id: self.id, user_id: self.user_id, listing: self.listing.clone() }
    }
}
