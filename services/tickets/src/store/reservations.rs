//! Reservations, and the summaries that are computed from them.
//!
//! The write of a reservation is followed by a mark on its listing: it is *dirty*. A summary is written only while that
//! mark is the one that was there before the reservations were read: what was computed without a newer reservation is
//! never written. The mark comes after the reservation and before the event's acknowledgement, so a crash between two of
//! these steps is repaired by the redelivery.
//!
//! Of a listing of one, mark and summary are one write in the common case.

use std::time::Duration;

use bson::{Bson, doc};
use common::Time;
use common::events::Order;
use common::ids::TicketId;
use futures::TryStreamExt;
use mongodb::options::ReturnDocument;
use store::{Change, ConflictError, Error, Result};

use super::{Store, TicketDocument, document};
use crate::domain::{Reservation, ReservationStatus, Ticket};

/// Of a listing of many, an event is summarised with others if there was a summary less than this ago.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a summary is computed again because of a concurrent change.
const MAX_ATTEMPTS: usize = 32;
/// How many listings are summarised by one pass.
const BATCH: i64 = 64;
/// More reservations than a listing has places don't count at once for long; so one batch has them all.
const RESERVATIONS: u32 = 2000;

/// Which write says that the reservations have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// One before the summary's.
    IsWritten,
    /// The summary's own: what others compute meanwhile is without the change.
    IsSummary,
}

/// The outcome of computing a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summarised {
    /// It contains every reservation that was marked.
    Done,
    /// A reservation, or the ticket, has changed meanwhile: the listing remains dirty.
    Conflict,
    /// There is no such ticket, or it is deleted.
    Gone,
}

impl Store {
    /// Applies an order's event to its reservation, and marks its listing. None: the ticket was never stored here.
    pub async fn follow(&self, order: &Order) -> Result<Option<()>> {
        let Some(TicketDocument(ticket)) = self.documents.get(order.ticket.id).await? else {
            return Ok(None);
        };
        if ticket.deleted {
            self.reject(order).await?;
            return Ok(Some(()));
        }
        let follow = |known: &Reservation| Ok::<_, Error>(known.follow(order));
        let first = Reservation::first(order);
        // Most events are the first of their order.
        let is_inserted = order.version == 1 && self.reservations.insert_if_new(&first).await?;
        if !is_inserted {
            let known = self.reservations.change_or_insert_with(&first, follow).await?;
            if known.order_version > order.version {
                // The process that has applied the newer event marks the listing.
                return Ok(Some(()));
            }
        }
        // Who has the only place is visible once the event is acknowledged.
        let is_summarised = !ticket.has_many() && {
            let computed = self.summarise_read(&ticket, Some(order), Mark::IsSummary).await?;
            computed != Summarised::Conflict
        };
        if !is_summarised {
            self.mark(order).await?;
        }
        Ok(Some(()))
    }

    /// The deletion is published again for a live order of a deleted ticket. The effect first: it is repeated if this
    /// process dies before it is recorded.
    async fn reject(&self, order: &Order) -> Result<()> {
        let reservation = Reservation::of(order);
        let known = self.reservations.get(order.id).await?;
        let is_newer = known.is_none_or(|known| known.order_version < order.version);
        if is_newer && reservation.status.is_active() {
            let reject = |TicketDocument(ticket): &TicketDocument| -> Result<_> {
                Ok(Some(document(ticket.reject(order))))
            };
            self.documents.change(order.ticket.id, reject).await?;
        }
        let silently = |known: &Reservation| {
            let change = known.follow(order).map(|change| Change::without_event(change.thing));
            Ok::<_, Error>(change)
        };
        self.reservations.change_or_insert(&reservation, silently).await?;
        Ok(())
    }

    /// Marks the listing of an order that was applied. Its summary is computed at once, unless that was done a moment
    /// ago: then it waits for the next pass.
    async fn mark(&self, order: &Order) -> Result<()> {
        let id = order.ticket.id;
        let mark = doc! { "$inc": { "changes": 1_i64 }, "$set": { "dirty": true } };
        let tickets = self.documents.collection();
        let marked = tickets.find_one_and_update(doc! { "_id": id }, mark);
        let Some(TicketDocument(before)) = marked.return_document(ReturnDocument::Before).await?
        else {
            return Ok(());
        };
        if before.has_many() {
            let now = self.clock.now();
            let is_recent = before.summarised_at.is_some_and(|time| now < time + PAUSE);
            if !before.dirty && !is_recent {
                let marked = before.marked();
                self.summarise_read(&marked, Some(order), Mark::IsWritten).await?;
            }
            return Ok(());
        }
        for _ in 0..MAX_ATTEMPTS {
            match self.summarise(id, Some(order)).await? {
                Summarised::Done | Summarised::Gone => return Ok(()),
                Summarised::Conflict => {}
            }
        }
        Err(ConflictError.into())
    }

    /// Computes the summary of a listing, which has changed by this order.
    async fn summarise(&self, id: TicketId, applied: Option<&Order>) -> Result<Summarised> {
        let Some(TicketDocument(ticket)) = self.documents.get(id).await? else {
            return Ok(Summarised::Gone);
        };
        self.summarise_read(&ticket, applied, Mark::IsWritten).await
    }

    /// The same of a listing that was read before.
    async fn summarise_read(
        &self,
        ticket: &Ticket,
        applied: Option<&Order>,
        mark: Mark,
    ) -> Result<Summarised> {
        let id = ticket.id;
        let mut reservations = self.live_reservations(&[id]).await?;
        if ticket.was_changed_by_previous_version() {
            self.adopt(ticket, &reservations).await?;
            reservations = self.live_reservations(&[id]).await?;
        }
        let change = if ticket.deleted { None } else { ticket.summarise(&reservations, applied) };
        let as_read = doc! { "changes": ticket.changes };
        let changes = match mark {
            Mark::IsWritten => ticket.changes,
            Mark::IsSummary => ticket.marked().changes,
        };
        let mut done = doc! {
            "dirty": false,
            "summarisedAt": self.clock.now(),
            "changes": changes,
        };
        let is_written = match change.map(document) {
            Some(Change { thing, events }) => {
                // The ticket itself says which order it was written with.
                let tickets = &self.documents;
                tickets.replace_where(ticket.version, as_read, &thing, done, &events).await?
            }
            None => {
                done.insert("writtenHold", [ticket.hold, ticket.hold_version].to_vec());
                let mut unchanged = as_read;
                unchanged.extend(doc! { "_id": id, "version": ticket.version });
                let tickets = self.documents.collection();
                let cleared = tickets.update_one(unchanged, doc! { "$set": done }).await?;
                cleared.matched_count == 1
            }
        };
        Ok(match is_written {
            true if ticket.deleted => Summarised::Gone,
            true => Summarised::Done,
            false => Summarised::Conflict,
        })
    }

    /// Stores what a replica of the previous version knew of the orders of a listing of one.
    async fn adopt(&self, ticket: &Ticket, reservations: &[Reservation]) -> Result<()> {
        for adopted in ticket.adopt(reservations) {
            let adopt = |known: &Reservation| {
                let is_as_read = known.version + 1 == adopted.version;
                let change = is_as_read.then(|| Change::without_event(adopted.clone()));
                Ok::<_, Error>(change)
            };
            self.reservations.change_or_insert(&adopted, adopt).await?;
        }
        Ok(())
    }

    /// Computes the summaries of listings that are dirty.
    pub async fn summarise_dirty(&self) -> Result<()> {
        let tickets = self.documents.collection();
        let dirty = tickets.find(doc! { "dirty": true }).limit(BATCH).await?;
        let dirty: Vec<TicketDocument> = dirty.try_collect().await?;
        for TicketDocument(ticket) in dirty {
            self.summarise(ticket.id, None).await?;
        }
        Ok(())
    }

    /// Changes a ticket as `decide` says, which is called again if another writer was faster. It decides on a summary that
    /// contains every reservation, and nothing is written if one was marked since. Returns the ticket after that; none if
    /// it doesn't exist or was deleted before.
    pub async fn change<E: From<Error> + From<ConflictError>>(
        &self,
        id: TicketId,
        decide: impl Fn(&Ticket) -> Result<Change<Ticket>, E>,
    ) -> Result<Option<Ticket>, E> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(TicketDocument(ticket)) = self.documents.get(id).await? else {
                return Ok(None);
            };
            if ticket.deleted {
                return Ok(None);
            }
            if ticket.dirty {
                self.summarise(id, None).await?;
                continue;
            }
            let Change { thing, events } = document(decide(&ticket)?);
            let as_read = doc! { "changes": ticket.changes };
            let tickets = &self.documents;
            if tickets.replace_where(ticket.version, as_read, &thing, doc! {}, &events).await? {
                return Ok(Some(thing.0));
            }
        }
        Err(ConflictError.into())
    }

    /// Tickets as a reader sees them at this time: where some reservations have ended and others haven't, they are counted.
    pub async fn recount(&self, tickets: Vec<Ticket>, now: Time) -> Result<Vec<Ticket>> {
        let is_outdated = |ticket: &&Ticket| ticket.has_many() && ticket.summary().is_outdated(now);
        let outdated: Vec<TicketId> =
            tickets.iter().filter(is_outdated).map(|ticket| ticket.id).collect();
        if outdated.is_empty() {
            return Ok(tickets);
        }
        let reservations = self.live_reservations(&outdated).await?;
        let recounted = tickets.into_iter().map(|ticket| {
            if !outdated.contains(&ticket.id) {
                return ticket;
            }
            let of_it = reservations.iter().filter(|one| one.ticket_id == ticket.id);
            let of_it: Vec<Reservation> = of_it.cloned().collect();
            ticket.recounted(&of_it, now)
        });
        Ok(recounted.collect())
    }

    pub(super) async fn live_reservations(&self, tickets: &[TicketId]) -> Result<Vec<Reservation>> {
        let ids: Vec<Bson> = tickets.iter().copied().map(Bson::from).collect();
        let live = doc! { "ticketId": { "$in": ids }, "live": true };
        let found = self.reservations.collection().find(live).batch_size(RESERVATIONS).await?;
        let found: Vec<Reservation> = found.try_collect().await?;
        match found.iter().find(|one| one.status == ReservationStatus::Unknown) {
            Some(unknown) => Err(Error::LaterVersion(unknown.order_id.to_string())),
            None => Ok(found),
        }
    }
}
