//! A ticket and its transitions. Pure: no database, no clock, nothing to wait for.

use common::events::{self, OrderStatus, TicketCreated, TicketDeleted, TicketUpdated};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use common::{Time, problem};
use httpkit::Error;
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};

use crate::draft::Draft;

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
    /// The greatest hold number that was seen; 0 before the first. It is a fencing token: what an
    /// order with a smaller one says is over.
    pub hold: i64,
    /// The version that the order had, when it was last heard of under that hold.
    pub hold_version: i64,
    /// The order that has the ticket: it holds it, or has bought it.
    pub order_id: Option<OrderId>,
    /// Whose order that is.
    pub buyer_id: Option<UserId>,
    /// When the hold runs out; none for a ticket that is sold.
    pub reserved_until: Option<Time>,
    pub sold: bool,
    /// A tombstone: for everyone there is no such ticket, but late orders are still answered.
    pub deleted: bool,
}

/// What a ticket is to those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Available,
    Reserved,
    Sold,
}

/// Why a seller can't change a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Reserved,
    Sold,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Reserved => Error::refused(
                &problem::TICKET_RESERVED,
                "A buyer holds this ticket. It can be changed when the order has ended.",
            ),
            Refusal::Sold => {
                Error::refused(&problem::TICKET_SOLD, "A ticket that is sold stays as it is.")
            }
        }
    }
}

impl Ticket {
    /// A ticket is offered for sale.
    pub fn offer(seller: UserId, draft: Draft, now: Time) -> Change<Ticket> {
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
        let event = TicketCreated(ticket.told());
        Change::with_event(ticket, &event)
    }

    /// Everything that the seller says about it is said anew.
    pub fn edit(&self, draft: Draft) -> Result<Change<Ticket>, Refusal> {
        self.is_free()?;
        let Draft { listing, description } = draft;
        let ticket = Ticket { version: self.version + 1, listing, description, ..self.clone() };
        Ok(ticket.updated())
    }

    /// It is taken off the market for good.
    pub fn delete(&self) -> Result<Change<Ticket>, Refusal> {
        self.is_free()?;
        let ticket = Ticket { version: self.version + 1, deleted: true, ..self.clone() };
        Ok(ticket.told_deleted())
    }

    /// Refuses while an order has it. A hold that has run out counts until its order's end is heard
    /// of: the buyer may have paid in the last second.
    pub fn is_free(&self) -> Result<(), Refusal> {
        match self.order_id {
            Some(_) if self.sold => Err(Refusal::Sold),
            Some(_) => Err(Refusal::Reserved),
            None => Ok(()),
        }
    }

    /// What an order's event makes of the ticket: nothing, unless it is newer than all that was heard.
    ///
    /// Newer means a greater hold, or a greater version of the order under the same hold. A hold gets
    /// its number only when the one before has ended, so the newest event alone says who has the
    /// ticket, and it doesn't matter which others came late, twice, or never.
    pub fn follow(&self, order: &events::Order) -> Option<Change<Ticket>> {
        if (order.hold, order.version) <= (self.hold, self.hold_version) {
            return None;
        }
        let heard = Ticket {
            version: self.version + 1,
            hold: order.hold,
            hold_version: order.version,
            ..self.clone()
        };
        Some(if self.deleted {
            heard.refuse(order.status)
        } else {
            heard.taken_by(order).updated()
        })
    }

    /// The ticket in the hands of the order, or in nobody's.
    fn taken_by(self, order: &events::Order) -> Ticket {
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
        }
    }

    /// A deleted ticket tells an order that has it once more that it is deleted, in a new version, so
    /// that the order ends. To an order that has ended there is nothing to say.
    fn refuse(self, status: OrderStatus) -> Change<Ticket> {
        match status {
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete => {
                self.told_deleted()
            }
            OrderStatus::Cancelled => Change::without_event(self),
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

    /// Whether it may be found by all: a ticket that is held may, as its hold may end.
    pub fn is_listed(&self) -> bool {
        !self.sold && !self.deleted
    }

    /// Until when it is of use to a buyer; an undated ticket always is.
    pub fn on_sale_until(&self) -> Time {
        self.listing.date.unwrap_or(Time::NEVER)
    }

    fn updated(self) -> Change<Ticket> {
        let event = TicketUpdated(self.told());
        Change::with_event(self, &event)
    }

    fn told_deleted(self) -> Change<Ticket> {
        let event = TicketDeleted(self.told());
        Change::with_event(self, &event)
    }

    /// The event that tells its present state again, also that of one that was deleted.
    pub fn retelling(&self) -> OutboxMessage {
        if self.deleted {
            OutboxMessage::of(&TicketDeleted(self.told()))
        } else if self.version == 1 {
            OutboxMessage::of(&TicketCreated(self.told()))
        } else {
            OutboxMessage::of(&TicketUpdated(self.told()))
        }
    }

    /// What the other services get to know.
    fn told(&self) -> events::Ticket {
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
