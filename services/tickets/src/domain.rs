//! A ticket and its transitions. Pure: no database, no clock, no I/O.

pub mod draft;
pub mod search;

use common::Time;
use common::events::{self, OrderStatus, TicketCreated, TicketDeleted, TicketUpdated};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

pub use draft::Draft;
pub use search::{DateBound, Search, SearchScope, Sort};

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
    pub description: Option<String>,
    pub created_at: Time,
    /// The greatest fencing number of an order that was applied; 0 before the first. An order with a smaller one no longer
    /// has the ticket.
    pub hold: i64,
    /// The greatest version of the order that was applied under that fencing number.
    pub hold_version: i64,
    /// The order that has reserved or bought the ticket.
    pub order_id: Option<OrderId>,
    /// The buyer of that order.
    pub buyer_id: Option<UserId>,
    /// When the reservation expires; none for a ticket that is sold.
    pub reserved_until: Option<Time>,
    pub sold: bool,
    /// A tombstone: the API responds as if the ticket didn't exist, but late orders are still answered by an event.
    pub deleted: bool,
}

/// The status of a ticket, as the API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Available,
    Reserved,
    Sold,
}

/// Why a ticket can't be edited or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRefusal {
    Reserved,
    Sold,
}

impl Ticket {
    /// Lists a ticket for sale.
    pub fn create(seller: UserId, draft: Draft, now: Time) -> Change<Ticket> {
        let ticket = Ticket {
            id: TicketId::new(now),
            version: 1,
            user_id: seller,
            listing: draft.listing,
            description: draft.description,
            created_at: now,
            hold: 0,
            hold_version: 0,
            order_id: None,
            buyer_id: None,
            reserved_until: None,
            sold: false,
            deleted: false,
        };
        let event = TicketCreated(ticket.to_event());
        Change::with_event(ticket, &event)
    }

    /// Replaces everything that the seller wrote.
    pub fn edit(&self, draft: Draft) -> Result<Change<Ticket>, ChangeRefusal> {
        self.check_changeable()?;
        let Draft { listing, description } = draft;
        let ticket = Ticket { version: self.version + 1, listing, description, ..self.clone() };
        Ok(ticket.with_updated_event())
    }

    /// Removes the listing permanently.
    pub fn delete(&self) -> Result<Change<Ticket>, ChangeRefusal> {
        self.check_changeable()?;
        let ticket = Ticket { version: self.version + 1, deleted: true, ..self.clone() };
        Ok(ticket.with_deleted_event())
    }

    /// Refuses while an order has reserved or bought the ticket. An expired reservation counts until the event that ends
    /// its order was applied: the buyer may have paid in the last second.
    pub fn check_changeable(&self) -> Result<(), ChangeRefusal> {
        match self.order_id {
            Some(_) if self.sold => Err(ChangeRefusal::Sold),
            Some(_) => Err(ChangeRefusal::Reserved),
            None => Ok(()),
        }
    }

    /// Applies the state of an order that an event carries; none if it isn't newer than what was applied before.
    ///
    /// Newer means a greater fencing number, or a greater version of the order under the same one. A reservation gets its
    /// number only when the one before has ended, so the newest event alone decides who has the ticket, and it doesn't
    /// matter which others arrive late, twice, or never.
    pub fn follow(&self, order: &events::Order) -> Option<Change<Ticket>> {
        if (order.hold, order.version) <= (self.hold, self.hold_version) {
            return None;
        }
        let ticket = Ticket {
            version: self.version + 1,
            hold: order.hold,
            hold_version: order.version,
            ..self.clone()
        };
        Some(if self.deleted {
            ticket.reject(order.status)
        } else {
            ticket.assigned_to(order).with_updated_event()
        })
    }

    /// The ticket reserved, sold or available, as the order's status says.
    fn assigned_to(self, order: &events::Order) -> Ticket {
        let (order_id, buyer_id) = (Some(order.id), Some(order.user_id));
        match order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                let reserved_until = Some(order.expires_at);
                Ticket { order_id, buyer_id, reserved_until, sold: false, ..self }
            }
            OrderStatus::Complete => {
                Ticket { order_id, buyer_id, reserved_until: None, sold: true, ..self }
            }
            OrderStatus::Cancelled => {
                Ticket { order_id: None, buyer_id: None, reserved_until: None, sold: false, ..self }
            }
            // Not consumed by this version.
            OrderStatus::Unknown => self,
        }
    }

    /// A live order of a deleted ticket is rejected: `ticket.deleted` is published in a new version, so that orders ends
    /// the order. An order that has ended needs no event.
    fn reject(self, status: OrderStatus) -> Change<Ticket> {
        match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete => {
                self.with_deleted_event()
            }
            OrderStatus::Cancelled | OrderStatus::Unknown => Change::without_event(self),
        }
    }

    pub fn status(&self, now: Time) -> Status {
        if self.sold {
            Status::Sold
        } else if self.order_id.is_some() && self.reserved_until.is_some_and(|end| end > now) {
            Status::Reserved
        } else {
            Status::Available
        }
    }

    /// Whether the reservation has expired and the event that ends its order wasn't applied yet: the status has changed
    /// without a new version.
    pub fn has_expired_reservation(&self, now: Time) -> bool {
        self.order_id.is_some() && !self.sold && self.reserved_until.is_some_and(|end| end <= now)
    }

    /// Whether searches find it: a reserved ticket is listed, because its reservation may expire.
    pub fn is_listed(&self) -> bool {
        !self.sold && !self.deleted
    }

    /// When the event begins; an undated ticket is on sale indefinitely.
    pub fn on_sale_until(&self) -> Time {
        self.listing.date.unwrap_or(Time::NEVER)
    }

    fn with_updated_event(self) -> Change<Ticket> {
        let event = TicketUpdated(self.to_event());
        Change::with_event(self, &event)
    }

    fn with_deleted_event(self) -> Change<Ticket> {
        let event = TicketDeleted(self.to_event());
        Change::with_event(self, &event)
    }

    /// The event that describes the current state, for republishing; a deleted ticket has one too.
    pub fn snapshot_event(&self) -> OutboxMessage {
        if self.deleted {
            OutboxMessage::of(&TicketDeleted(self.to_event()))
        } else if self.version == 1 {
            OutboxMessage::of(&TicketCreated(self.to_event()))
        } else {
            OutboxMessage::of(&TicketUpdated(self.to_event()))
        }
    }

    /// The part of the ticket that other services receive.
    fn to_event(&self) -> events::Ticket {
        events::Ticket {
            id: self.id,
            user_id: self.user_id,
            listing: self.listing.clone(),
            order_id: self.order_id,
            hold: self.hold,
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests;
