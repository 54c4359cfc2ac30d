//! The replica of a ticket.

use common::Time;
use common::events::{self, OrderedTicket};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use serde::{Deserialize, Serialize};

/// What orders knows of a ticket: its replica, fed by ticket events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    #[serde(rename = "_id")]
    pub id: TicketId,
    pub version: i64,
    /// The seller.
    pub user_id: UserId,
    #[serde(flatten)]
    pub listing: Listing,
    /// A tombstone is kept for good: it must outlive whatever comes late.
    pub deleted: bool,
    /// The greatest hold number that tickets has heard of. After a restore it may be one that this
    /// database knows nothing of.
    #[serde(default)]
    pub hold: i64,
    /// What a restore has raised that to; no event changes it.
    #[serde(default, skip_serializing)]
    pub hold_floor: i64,
}

/// One of the writes that a ticket's event asks for.
///
/// Each is guarded by itself, and changes nothing when it is done again; they are done in their order.
/// So whoever dies between two of them does no harm: the event comes again, and all are done again.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The ticket is locked for this order under this hold: the order may await its payment.
    ConfirmLock { order: OrderId, hold: i64 },
    /// The replica is to be this, unless it is newer.
    Replica(Ticket),
    /// Whoever has the ticket loses it.
    EndHolder,
}

impl Ticket {
    pub fn created(event: &events::Ticket) -> Vec<Write> {
        vec![Write::Replica(Ticket::of(event, false))]
    }

    /// The effects first, the version mark last.
    pub fn updated(event: &events::Ticket) -> Vec<Write> {
        let lock = event.order_id.map(|order| Write::ConfirmLock { order, hold: event.hold });
        lock.into_iter().chain(Ticket::created(event)).collect()
    }

    /// Here the version mark comes first: between the two, nobody may order the ticket any more.
    pub fn deleted(event: &events::Ticket) -> Vec<Write> {
        vec![Write::Replica(Ticket::of(event, true)), Write::EndHolder]
    }

    pub fn of(event: &events::Ticket, deleted: bool) -> Ticket {
        Ticket {
            id: event.id,
            version: event.version,
            user_id: event.user_id,
            listing: event.listing.clone(),
            deleted,
            hold: event.hold,
            hold_floor: 0,
        }
    }

    /// A new hold's number must be greater than this, whatever the orders say.
    pub fn last_hold(&self) -> i64 {
        self.hold.max(self.hold_floor)
    }

    pub fn is_past(&self, now: Time) -> bool {
        self.listing.date.is_some_and(|date| date <= now)
    }

    pub fn as_ordered(&self) -> OrderedTicket {
        OrderedTicket { id: self.id, user_id: self.user_id, listing: self.listing.clone() }
    }
}
