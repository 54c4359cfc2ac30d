//! Reservations, and the summaries that are computed from them.
//!
//! The write of a reservation is followed by a mark on its listing: it is *dirty*. A summary is written only while that
//! mark is the one that was there before the reservations were read: what was computed without a newer reservation is
//! never written. The mark comes after the reservation and before the event's acknowledgement, so a crash between two of
//! these steps is repaired by the redelivery.
//!
//! Of a listing of one, mark and summary are one write in the common case, and the reservations are read while the newest is
//! being written.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::{Bson, Document, doc};
use common::Time;
use common::events::Order;
use common::ids::{OrderId, TicketId};
use futures::TryStreamExt;
use futures::future::{join, join_all, try_join};
use mongodb::options::ReturnDocument;
use store::{Change, ConflictError, Error, Result};

use super::{Changed, Store, TicketDocument, document};
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

/// Says that a listing's reservations have changed.
fn mark() -> Document {
    doc! { "$inc": { "changes": 1_i64 }, "$set": { "dirty": true } }
}

/// Then it waits for the next pass.
fn was_summarised_lately(ticket: &Ticket, now: Time) -> bool {
    ticket.summarised_at.is_some_and(|time| now < time + PAUSE)
}

/// Live reservations, with those that were written while they were read.
fn with(live: Vec<Reservation>, written: Vec<Reservation>) -> Vec<Reservation> {
    let mut all: HashMap<OrderId, Reservation> =
        live.into_iter().map(|reservation| (reservation.order_id, reservation)).collect();
    all.extend(written.into_iter().map(|reservation| (reservation.order_id, reservation)));
    all.into_values().filter(|reservation| reservation.live).collect()
}

impl Store {
    /// Applies the newest events of several orders to their reservations, and marks or summarises the listings: the tickets,
    /// the reservations, and those of the same listings are each read by one command, and what is new is inserted by one.
    /// False: a ticket is missing or deleted, or another writer was faster.
    pub async fn follow_all(&self, orders: Vec<Order>) -> Result<bool> {
        let later = orders.iter().filter(|order| order.version > 1).map(|order| order.id);
        let (tickets, known) = try_join(
            self.tickets(orders.iter().map(|order| order.ticket.id)),
            self.reservations_of(later),
        )
        .await?;
        let is_listed =
            |order: &Order| tickets.get(&order.ticket.id).is_some_and(|ticket| !ticket.deleted);
        if !orders.iter().all(is_listed) {
            return Ok(false);
        }
        let (mut new, mut changes, mut applied) = (Vec::new(), Vec::new(), HashSet::new());
        for order in &orders {
            match known.get(&order.id) {
                None => new.push(Reservation::first(order)),
                // The process that has applied the newer event marks the listing.
                Some(known) if known.order_version > order.version => continue,
                Some(known) => {
                    changes.extend(known.follow(order).map(|change| (known.version, change)));
                }
            }
            applied.insert(order.ticket.id);
        }
        let applied = tickets.values().filter(|ticket| applied.contains(&ticket.id));
        let (of_many, of_one): (Vec<&Ticket>, Vec<&Ticket>) =
            applied.partition(|ticket| ticket.has_many());
        let ids: Vec<TicketId> = of_one.iter().map(|ticket| ticket.id).collect();
        let own = new.iter().chain(changes.iter().map(|(_, change)| change));
        let own: Vec<Reservation> = own.map(|change| change.thing.clone()).collect();
        // What is being written is added to what is read.
        let (written, live) =
            join(self.write_reservations(new, changes), self.live_reservations(&ids)).await;
        if !written? {
            return Ok(false);
        }
        let live = with(live?, own);
        let reflect = async |ticket: &&Ticket| -> Result<()> {
            let of_it: Vec<Reservation> =
                live.iter().filter(|one| one.ticket_id == ticket.id).cloned().collect();
            match self.write_summary(ticket, &of_it, Mark::IsSummary).await? {
                Summarised::Conflict => self.mark(ticket.id).await,
                Summarised::Done | Summarised::Gone => Ok(()),
            }
        };
        // Each to its end: a write that was begun is not dropped.
        let (reflected, marked) =
            join(join_all(of_one.iter().map(reflect)), self.mark_all(&of_many)).await;
        reflected.into_iter().collect::<Result<()>>()?;
        marked?;
        Ok(true)
    }

    /// As [`Store::follow_all`], for one order that couldn't be applied like that. None: the ticket was never stored here.
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
        let known = self.reservations.change_or_insert_with(&first, follow).await?;
        // The process that has applied a newer event marks the listing.
        if known.order_version <= order.version {
            self.mark(order.ticket.id).await?;
        }
        Ok(Some(()))
    }

    /// False: another writer was faster with one of them.
    async fn write_reservations(
        &self,
        new: Vec<Change<Reservation>>,
        changes: Vec<(i64, Change<Reservation>)>,
    ) -> Result<bool> {
        let write = async |(version, change): &(i64, Change<Reservation>)| {
            self.reservations.replace(*version, &change.thing, &change.events).await
        };
        let refused = self.reservations.insert_all(new).await?;
        let written = join_all(changes.iter().map(write)).await;
        let written = written.into_iter().collect::<Result<Vec<bool>>>()?;
        Ok(refused.is_empty() && written.into_iter().all(|is_written| is_written))
    }

    /// As [`Store::mark`], of listings of many that were read before: by one command.
    async fn mark_all(&self, listings: &[&Ticket]) -> Result<()> {
        if listings.is_empty() {
            return Ok(());
        }
        let ids: Vec<TicketId> = listings.iter().map(|ticket| ticket.id).collect();
        let tickets = self.documents.collection();
        tickets.update_many(doc! { "_id": { "$in": ids } }, mark()).await?;
        let now = self.clock.now();
        let is_due = |ticket: &Ticket| !ticket.dirty && !was_summarised_lately(ticket, now);
        let due = listings.iter().filter(|ticket| is_due(ticket));
        let summarised = join_all(due.map(|ticket| self.summarise(ticket.id))).await;
        // In a conflict, the next pass does it.
        summarised.into_iter().try_for_each(|summarised| summarised.map(drop))
    }

    async fn tickets(
        &self,
        ids: impl Iterator<Item = TicketId>,
    ) -> Result<HashMap<TicketId, Ticket>> {
        let found = self.documents.get_all(ids).await?;
        Ok(found.into_iter().map(|TicketDocument(ticket)| (ticket.id, ticket)).collect())
    }

    async fn reservations_of(
        &self,
        orders: impl Iterator<Item = OrderId>,
    ) -> Result<HashMap<OrderId, Reservation>> {
        let found = self.reservations.get_all(orders).await?;
        Ok(found.into_iter().map(|reservation| (reservation.order_id, reservation)).collect())
    }

    /// The deletion is published again for a live order of a deleted ticket. The effect first: it is repeated if this
    /// process dies before it is recorded.
    async fn reject(&self, order: &Order) -> Result<()> {
        let reservation = Reservation::of(order);
        let known = self.reservations.get(order.id).await?;
        let is_newer = known.is_none_or(|known| known.order_version < order.version);
        if is_newer && reservation.status.is_active() {
            let reject = |TicketDocument(ticket): &TicketDocument| -> Result<_> {
                Ok(Some(document(ticket.reject())))
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

    /// Marks a listing of which an order was applied. Its summary is computed at once, unless that was done a moment
    /// ago: then it waits for the next pass.
    async fn mark(&self, id: TicketId) -> Result<()> {
        let tickets = self.documents.collection();
        let marked = tickets.find_one_and_update(doc! { "_id": id }, mark());
        let Some(TicketDocument(before)) = marked.return_document(ReturnDocument::Before).await?
        else {
            return Ok(());
        };
        if before.has_many() {
            if !before.dirty && !was_summarised_lately(&before, self.clock.now()) {
                self.summarise_read(&before.marked()).await?;
            }
            return Ok(());
        }
        for _ in 0..MAX_ATTEMPTS {
            match self.summarise(id).await? {
                Summarised::Done | Summarised::Gone => return Ok(()),
                Summarised::Conflict => {}
            }
        }
        Err(ConflictError.into())
    }

    /// Computes the summary of a listing that is marked.
    async fn summarise(&self, id: TicketId) -> Result<Summarised> {
        let Some(TicketDocument(ticket)) = self.documents.get(id).await? else {
            return Ok(Summarised::Gone);
        };
        self.summarise_read(&ticket).await
    }

    /// The same of one that was read since.
    async fn summarise_read(&self, ticket: &Ticket) -> Result<Summarised> {
        let reservations = self.live_reservations(&[ticket.id]).await?;
        self.write_summary(ticket, &reservations, Mark::IsWritten).await
    }

    /// The same of a listing and its live reservations, which were read in this order.
    async fn write_summary(
        &self,
        ticket: &Ticket,
        reservations: &[Reservation],
        mark: Mark,
    ) -> Result<Summarised> {
        let id = ticket.id;
        let change = if ticket.deleted { None } else { ticket.summarise(reservations) };
        let as_read = doc! { "changes": ticket.changes };
        let changes = match mark {
            Mark::IsWritten => ticket.changes,
            Mark::IsSummary => ticket.marked().changes,
        };
        let done = doc! {
            "dirty": false,
            "summarisedAt": self.clock.now(),
            "changes": changes,
        };
        let is_written = match change.map(document) {
            Some(Change { thing, events }) => {
                let (tickets, version) = (&self.documents, ticket.version);
                let _changing = (self.on_change)(id, Changed::Summary);
                tickets.replace_where(version, as_read, &thing, done, &events).await?
            }
            None => {
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

    /// Computes the summaries of listings that are dirty.
    pub async fn summarise_dirty(&self) -> Result<()> {
        let tickets = self.documents.collection();
        let dirty = tickets.find(doc! { "dirty": true }).limit(BATCH).await?;
        let dirty: Vec<TicketDocument> = dirty.try_collect().await?;
        for TicketDocument(ticket) in dirty {
            self.summarise(ticket.id).await?;
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
                self.summarise(id).await?;
                continue;
            }
            let Change { thing, events } = document(decide(&ticket)?);
            let as_read = doc! { "changes": ticket.changes };
            let tickets = &self.documents;
            let version = ticket.version;
            let _changing = (self.on_change)(id, Changed::Listing);
            if tickets.replace_where(version, as_read, &thing, doc! {}, &events).await? {
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
        if tickets.is_empty() {
            return Ok(Vec::new());
        }
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
