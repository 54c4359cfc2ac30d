//! A ticket and its transitions. Pure: no database, no clock, no I/O.

mod door;
pub mod draft;
mod reservation;
pub mod search;
mod seller;
mod summary;
pub mod words;

use common::events::{self, TicketCreated, TicketDeleted, TicketUpdated};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::Listing;
use common::{Quantity, Time};
use serde::{Deserialize, Serialize};
use store::{Change, OutboxMessage};
use utoipa::ToSchema;

pub use door::{Attendance, Door, JoinRefusal, Staff};
pub use draft::Draft;
pub use reservation::{CheckIn, CheckInRefusal, Reservation, ReservationStatus};
pub use search::{DateBound, Search, SearchScope, Sort};
pub use seller::SellerReplica;
pub use summary::Summary;
pub use words::{Folded, Term};

/// A listing, of one ticket or of many of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    #[serde(rename = "_id")]
    pub id: TicketId,
    pub version: i64,
    /// The version of the seller's last change.
    #[serde(default)]
    pub edited_version: i64,
    /// The seller.
    pub user_id: UserId,
    #[serde(flatten)]
    pub listing: Listing,
    pub description: Option<String>,
    pub created_at: Time,
    /// Whether it is off sale because its seller is banned.
    #[serde(default)]
    pub suspended: bool,
    /// As of the last computation. (Of a listing of one, [`Ticket::summary`] is the truth.)
    #[serde(default)]
    summary: Summary,
    /// The order that has the place of a listing of one.
    pub order_id: Option<OrderId>,
    /// The buyer of that order.
    pub buyer_id: Option<UserId>,
    /// When its reservation expires; none if it is sold.
    pub reserved_until: Option<Time>,
    /// Whether that order has bought it.
    pub sold: bool,
    /// A tombstone: the API responds as if the ticket didn't exist, but late orders are still answered by an event.
    pub deleted: bool,
    /// How many changes of its reservations were marked. Not part of what is decided: it has writes of its own.
    #[serde(default, skip_serializing)]
    pub changes: Option<i64>,
    /// Whether the summary doesn't contain all of them.
    #[serde(default, skip_serializing)]
    pub dirty: bool,
    /// When the summary was last computed.
    #[serde(default, skip_serializing)]
    pub summarised_at: Option<Time>,
}

/// The status of a ticket, as the API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TicketStatus)]
pub enum Status {
    Available,
    Reserved,
    Sold,
    /// Nobody can order it: the seller has stopped the sale, or what is left was withdrawn.
    Closed,
}

/// Why a ticket can't be edited or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRefusal {
    Reserved,
    Sold,
    /// Buyers rely on these members of the listing.
    DetailsFixed(Vec<&'static str>),
    /// It would have fewer places.
    FewerPlaces {
        now: Quantity,
    },
}

impl Ticket {
    /// Lists a ticket for sale.
    pub fn create(seller: UserId, draft: Draft, now: Time) -> Change<Ticket> {
        let ticket = Ticket {
            id: TicketId::new(now),
            version: 1,
            edited_version: 1,
            user_id: seller,
            listing: draft.listing,
            description: draft.description,
            created_at: now,
            suspended: false,
            summary: Summary::default(),
            order_id: None,
            buyer_id: None,
            reserved_until: None,
            sold: false,
            deleted: false,
            changes: None,
            dirty: false,
            summarised_at: None,
        };
        let event = TicketCreated(ticket.to_event());
        Change::with_event(ticket, &event)
    }

    /// Replaces everything that the seller wrote.
    pub fn edit(&self, draft: Draft) -> Result<Change<Ticket>, ChangeRefusal> {
        self.check_changeable()?;
        let Draft { listing, description } = draft;
        if listing.quantity < self.listing.quantity {
            return Err(ChangeRefusal::FewerPlaces { now: self.listing.quantity });
        }
        let fixed = self.fixed_details(&listing);
        if !fixed.is_empty() {
            return Err(ChangeRefusal::DetailsFixed(fixed));
        }
        let version = self.version + 1;
        let edited_version = version;
        let ticket = Ticket { version, edited_version, listing, description, ..self.clone() };
        Ok(ticket.with_updated_event())
    }

    /// The members that this listing changes although buyers rely on them.
    fn fixed_details(&self, listing: &Listing) -> Vec<&'static str> {
        if self.summary().taken() == Quantity::NONE {
            return Vec::new();
        }
        let before = &self.listing;
        let grows = listing.quantity > before.quantity;
        let changes = [
            ("title", listing.title != before.title),
            ("date", listing.date != before.date),
            ("timeZone", listing.time_zone != before.time_zone),
            ("venue", listing.venue != before.venue),
            ("delivery", listing.delivery != before.delivery),
            // What is left could never be sold: an order would have to take all places.
            ("soldTogether", listing.sold_together && !before.sold_together),
            ("quantity", listing.sold_together && before.sold_together && grows),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
    }

    /// Removes the listing permanently.
    pub fn delete(&self) -> Result<Change<Ticket>, ChangeRefusal> {
        self.check_deletable()?;
        let ticket = Ticket { version: self.version + 1, deleted: true, ..self.clone() };
        Ok(ticket.with_deleted_event())
    }

    /// A listing of one can't be changed while an order has reserved or bought it.
    pub fn check_changeable(&self) -> Result<(), ChangeRefusal> {
        if self.has_many() { Ok(()) } else { self.check_deletable() }
    }

    /// Refuses while orders have reserved or bought places. An expired reservation counts until the event that ends its
    /// order was applied: the buyer may have paid in the last second.
    pub fn check_deletable(&self) -> Result<(), ChangeRefusal> {
        let Summary { reserved, sold, .. } = self.summary();
        if sold > Quantity::NONE {
            Err(ChangeRefusal::Sold)
        } else if reserved > Quantity::NONE {
            Err(ChangeRefusal::Reserved)
        } else {
            Ok(())
        }
    }

    /// Whether it is a listing of many.
    pub fn has_many(&self) -> bool {
        self.listing.quantity > Quantity::ONE
    }

    /// The summary as of the last computation. That of a listing of one follows from the order that has it.
    pub fn summary(&self) -> Summary {
        let withdrawn = self.summary.withdrawn;
        match self.order_id {
            _ if self.has_many() => self.summary.clone(),
            Some(_) if self.sold => Summary { sold: Quantity::ONE, ..Summary::default() },
            Some(_) => Summary {
                reserved: Quantity::ONE,
                next_release: self.reserved_until,
                reserved_until: self.reserved_until,
                ..Summary::default()
            },
            None => Summary { withdrawn, ..Summary::default() },
        }
    }

    /// As it is once another change of its reservations is marked.
    pub fn marked(&self) -> Ticket {
        Ticket { changes: Some(self.changes.unwrap_or(0) + 1), dirty: true, ..self.clone() }
    }

    /// Summarises the live reservations. None: nothing has changed.
    pub fn summarise(&self, reservations: &[Reservation]) -> Option<Change<Ticket>> {
        let next = Ticket { summary: Summary::of(reservations), ..self.clone() };
        let next = if self.has_many() { next } else { next.of_one(reservations) };
        let next = Ticket { version: self.version + 1, ..next };
        let has_changed = next != Ticket { version: next.version, ..self.clone() };
        has_changed.then(|| next.with_updated_event())
    }

    /// A listing of one names the order that has it: the one whose reservation prevails.
    fn of_one(self, reservations: &[Reservation]) -> Ticket {
        let active = reservations.iter().filter(|one| one.status.is_active());
        let holder = active.max_by_key(|one| (one.status, one.until, one.order_id));
        let sold = holder.is_some_and(|holder| holder.status == ReservationStatus::Sold);
        Ticket {
            order_id: holder.map(|holder| holder.order_id),
            buyer_id: holder.map(|holder| holder.buyer_id),
            reserved_until: holder.filter(|_| !sold).map(|holder| holder.until),
            sold,
            ..self
        }
    }

    /// A live order of a deleted ticket is rejected: `ticket.deleted` is published in a new version, so that orders ends
    /// the order.
    pub fn reject(&self) -> Change<Ticket> {
        Ticket { version: self.version + 1, ..self.clone() }.with_deleted_event()
    }

    /// What a reader sees at this time.
    pub fn status(&self, now: Time) -> Status {
        let summary = self.summary().at(now);
        if self.available(now) > Quantity::NONE {
            if self.is_closed() { Status::Closed } else { Status::Available }
        } else if summary.reserved > Quantity::NONE {
            Status::Reserved
        } else if summary.sold > Quantity::NONE {
            Status::Sold
        } else {
            Status::Closed
        }
    }

    /// How many places are neither reserved, nor sold, nor withdrawn.
    pub fn available(&self, now: Time) -> Quantity {
        self.listing.quantity.minus(self.summary().at(now).taken())
    }

    /// The ticket with the summary of these reservations, for a reader: only those that run at this time count.
    pub fn recounted(self, reservations: &[Reservation], now: Time) -> Ticket {
        let running = reservations
            .iter()
            .filter(|one| one.status != ReservationStatus::Reserved || one.until > now);
        Ticket { summary: Summary::of(running), ..self }
    }

    /// Whether a reservation has expired and the event that ends its order wasn't applied yet: the representation has
    /// changed without a new version.
    pub fn has_expired_reservation(&self, now: Time) -> bool {
        self.summary().next_release.is_some_and(|end| end <= now)
    }

    /// When it is shown differently without a change: a reservation ends.
    pub fn next_release(&self, now: Time) -> Option<Time> {
        self.summary().next_release.filter(|end| *end > now)
    }

    /// Whether searches find it: a reserved ticket is listed, because its reservation may expire.
    pub fn is_listed(&self) -> bool {
        !self.deleted && !self.is_closed() && self.summary().gone() < self.listing.quantity
    }

    /// Whether nobody can order it for now.
    fn is_closed(&self) -> bool {
        self.listing.closed || self.suspended
    }

    /// Takes it off sale because its seller is banned, or ends that. None: it is so.
    pub fn suspend(&self, suspended: bool) -> Option<Change<Ticket>> {
        if self.suspended == suspended || self.deleted {
            return None;
        }
        let ticket = Ticket { version: self.version + 1, suspended, ..self.clone() };
        Some(ticket.with_updated_event())
    }

    /// What a search by words looks at.
    pub fn searched_text(&self) -> Folded {
        let venue = self.listing.venue.as_deref().unwrap_or_default();
        Folded::of(&format!("{} {venue}", self.listing.title))
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
            listing: Listing { closed: self.is_closed(), ..self.listing.clone() },
            order_id: self.order_id,
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests;
