//! The replica of a ticket.

use common::events::{self, OrderedTicket};
use common::ids::{TicketId, UserId};
use common::money::Currency;
use common::{Money, Time};
use serde::{Deserialize, Serialize};

/// What orders knows of a ticket: its replica, fed by ticket events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    #[serde(rename = "_id")]
    pub id: TicketId,
    pub version: i64,
    pub title: String,
    pub price: Money,
    pub currency: Currency,
    pub user_id: UserId,
    pub date: Option<Time>,
    pub time_zone: String,
    pub venue: Option<String>,
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

impl Ticket {
    pub fn of(event: &events::Ticket, deleted: bool) -> Ticket {
        Ticket {
            id: event.id,
            version: event.version,
            title: event.title.clone(),
            price: event.price,
            currency: event.currency.clone(),
            user_id: event.user_id,
            date: event.date,
            time_zone: event.time_zone.clone(),
            venue: event.venue.clone(),
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
        self.date.is_some_and(|date| date <= now)
    }

    pub fn as_ordered(&self) -> OrderedTicket {
        OrderedTicket {
            id: self.id,
            title: self.title.clone(),
            price: self.price,
            currency: self.currency.clone(),
            user_id: self.user_id,
            date: self.date,
            time_zone: self.time_zone.clone(),
            venue: self.venue.clone(),
        }
    }
}
