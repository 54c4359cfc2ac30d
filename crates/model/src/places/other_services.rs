//! tickets, expiration, and payments.

use super::money::Money;
use super::mutants::Mutant;
use super::state::{Delivery, State, SummaryWorker};
use super::system::{Effect, PlacesModel};
use crate::protocol::Change;
use crate::protocol::event::{Event, Listener};
use crate::protocol::listing::{Listing, Reservation, ReservationStatus, Summary};
use crate::protocol::schedule::Schedule;

/// What [`Delivery::writes_done`] says of an event whose order tickets has rejected.
pub const REJECTED: u8 = 3;

impl PlacesModel {
    /// `DELETE /api/tickets/{id}` reads whether a place is reserved or sold.
    pub fn begin_delete(&self, state: &State) -> Option<State> {
        let Listing { summary: Summary { reserved, sold, .. }, .. } = state.listing;
        let refused = if self.bounds.summaries == 0 {
            state.reservations().any(|reservation| reservation.status.is_live())
        } else {
            // A summary that isn't computed yet is no reason.
            let is_outdated = state.listing.is_dirty() && !self.is_mutant(Mutant::SummaryTrusted);
            is_outdated || reserved + sold > 0
        };
        let mut next = state.clone();
        next.deleting = true;
        (!state.listing.deleted && !state.deleting && !refused).then_some(next)
    }

    /// It writes the tombstone, guarded by the listing as it has read it.
    pub fn delete(&self, state: &State) -> Option<State> {
        let mut next = state.clone();
        Effect::Listing(state.listing.delete()).apply(&mut next);
        let is_known = |purchase: usize| {
            let known = state.purchases[purchase].reservation;
            let is_handled = |known: &Reservation| {
                !state.deliveries.iter().any(|delivery| {
                    delivery.is_pending_for(Listener::Tickets)
                        && is_of(delivery.event, purchase, *known)
                })
            };
            known.filter(is_handled).is_some_and(|known| known.status.is_live())
        };
        next.deleted_by_mistake |= (0..state.purchases.len()).any(is_known);
        state.deleting.then_some(next)
    }

    /// `PUT /api/tickets/{id}` with another price, once.
    pub fn edit(&self, state: &State) -> Effect {
        let may = !state.listing.deleted && state.listing.content == 0;
        if may { Effect::Listing(state.listing.edit()) } else { Effect::Nothing }
    }

    /// The same with one more place, once.
    pub fn grow(&self, state: &State) -> Effect {
        let Listing { deleted, quantity, .. } = state.listing;
        let changed =
            if self.is_mutant(Mutant::QuantityShrinks) { quantity - 1 } else { quantity + 1 };
        let may = !deleted && quantity == self.bounds.quantity;
        if may { Effect::Listing(state.listing.resize(changed)) } else { Effect::Nothing }
    }

    /// tickets consumes an order's event. Its consumer has read the listing before.
    ///
    /// If that wasn't deleted, it writes the reservation (0) and marks the listing (1); the read may be an old one. If it
    /// was, it rejects a live order (2), and records the reservation (3), without an event.
    pub fn tickets_consume(&self, state: &State, delivery: Delivery, write: usize) -> Effect {
        let Event::Order { order, version, .. } = delivery.event else { return Effect::Nothing };
        let purchase = usize::from(order);
        let known = state.purchases[purchase].reservation;
        let Listing { deleted, .. } = state.listing;
        if write == 1 {
            // If another event of this order has been applied since, the process that has done that marks the listing.
            let is_applied = known.is_some_and(|known| known.version == version);
            return if is_applied && !deleted { self.mark(state) } else { Effect::Nothing };
        }
        let Some(change) = self.follow(known, delivery.event) else { return Effect::Nothing };
        let must_reject =
            change.thing.status.is_live() && !self.is_mutant(Mutant::CrossingUnanswered);
        let is_rejected = delivery.writes_done == REJECTED;
        match write {
            0 if delivery.was_listed && !is_rejected => Effect::Reservation(purchase, change),
            2 if deleted && must_reject && !is_rejected => Effect::Listing(state.listing.reject()),
            3 if deleted && (is_rejected || !must_reject) => {
                Effect::Reservation(purchase, Change::without_event(change.thing))
            }
            _ => Effect::Nothing,
        }
    }

    fn follow(&self, known: Option<Reservation>, event: Event) -> Option<Change<Reservation>> {
        if self.is_mutant(Mutant::AppliedByArrival) {
            return Reservation::apply(known, event).filter(|change| known != Some(change.thing));
        }
        let change = Reservation::follow(known, event)?;
        let is_tombstone = known.is_none() && change.thing.status == ReservationStatus::Ended;
        (!is_tombstone || !self.is_mutant(Mutant::NoTombstone)).then_some(change)
    }

    fn mark(&self, state: &State) -> Effect {
        // Without a summary, a mark matters only to a request that is guarded by it.
        match (self.bounds.summaries, state.deleting) {
            (0, false) => Effect::Nothing,
            (0, true) => Effect::Listing(Change::without_event(state.listing)),
            (_, _) => Effect::Listing(Change::without_event(state.listing.mark())),
        }
    }

    /// A worker begins to compute the summary of a dirty listing, or the consumer of this event that of its own change: it
    /// reads the mark.
    pub fn begin_summary(
        &self,
        state: &State,
        worker: usize,
        event: Option<Event>,
    ) -> Option<State> {
        let marks = state.listing.marks;
        let may = match event {
            None => state.listing.is_dirty(),
            Some(event) => {
                let pending = state.deliveries.iter().find(|delivery| delivery.event == event);
                pending.is_some_and(|delivery| delivery.is_pending_for(Listener::Tickets))
                    && !state.listing.deleted
            }
        };
        let mut next = state.clone();
        next.summaries[worker] = SummaryWorker::Begun { marks, event };
        (may && state.summaries[worker] == SummaryWorker::Idle).then_some(next)
    }

    /// Then it reads the reservations. A consumer adds its own as it writes it, before or after that.
    pub fn compute_summary(&self, state: &State, worker: usize) -> Option<State> {
        let SummaryWorker::Begun { marks, event } = state.summaries[worker] else { return None };
        let is_added = !self.is_mutant(Mutant::OwnReservationNotAdded);
        let reservations = state.purchases.iter().enumerate().filter_map(|(index, purchase)| {
            let known = purchase.reservation;
            let own = event.filter(|event| is_added && order_of(*event) == Some(index));
            let written = own.and_then(|event| self.follow(known, event));
            written.map_or(known, |change| Some(change.thing))
        });
        let summary = Summary::of(reservations);
        let mut next = state.clone();
        next.summaries[worker] = SummaryWorker::Computed { marks, event, summary };
        Some(next)
    }

    /// It writes. A consumer's summary is a mark, too: what others have computed meanwhile is without its change. Then it
    /// acknowledges the event, unless a mark was faster: then it marks the listing. A consumer whose own reservation wasn't
    /// written, or is a newer one by now, stops.
    pub fn write_summary(&self, state: &State, worker: usize) -> Option<State> {
        let SummaryWorker::Computed { marks, event, summary } = state.summaries[worker] else {
            return None;
        };
        let is_applied = event.is_none_or(|event| {
            let Event::Order { order, version, .. } = event else { return false };
            let known = state.purchases[usize::from(order)].reservation;
            known.is_some_and(|known| known.version == version)
        });
        if !is_applied {
            let mut stopped = state.clone();
            stopped.summaries[worker] = SummaryWorker::Idle;
            return Some(stopped);
        }
        let listing = state.listing;
        let written = if self.is_mutant(Mutant::SummaryUnguarded) {
            Some(Listing { summary, summarised: listing.marks, ..listing })
        } else if self.is_mutant(Mutant::MarkIsFlag) {
            let is_set = listing.is_dirty();
            is_set.then_some(Listing { summary, summarised: listing.marks, ..listing })
        } else {
            listing.summarise(marks, summary)
        };
        let mut next = state.clone();
        next.summaries[worker] = SummaryWorker::Idle;
        next.listing = written.unwrap_or(listing);
        if let (Some(event), Some(written)) = (event, written) {
            if !self.is_mutant(Mutant::ConsumerDoesNotMark) {
                let marks = written.marks + 1;
                let marked = Listing { marks, summarised: marks, ..written };
                Effect::Listing(Change::without_event(marked)).apply(&mut next);
            }
            if let Some(delivery) = next.deliveries.iter_mut().find(|one| one.event == event) {
                delivery.acknowledge(Listener::Tickets);
            }
        }
        Some(next)
    }

    pub fn expiration_consume(&self, state: &State, event: Event) -> Effect {
        let Event::Order { order, .. } = event else { return Effect::Nothing };
        let purchase = usize::from(order);
        let schedule = Schedule::follow(state.purchases[purchase].schedule, event);
        schedule.map_or(Effect::Nothing, |schedule| {
            Effect::Schedule(purchase, Change::without_event(schedule))
        })
    }

    /// The timer fires, at any time: expiration's clock may be wrong.
    pub fn fire(&self, state: &State, purchase: usize) -> Effect {
        let fired = state.purchases[purchase].schedule.and_then(|known| known.fire(purchase as u8));
        fired.map_or(Effect::Nothing, |change| Effect::Schedule(purchase, change))
    }

    pub fn payments_consume(&self, state: &State, event: Event) -> Effect {
        match event {
            Event::RefundRequired { .. } if self.is_mutant(Mutant::NoRefund) => Effect::Nothing,
            Event::RefundRequired { order } => {
                let purchase = usize::from(order);
                match state.purchases[purchase].money {
                    Money::None => Effect::Retry,
                    // The outcome is published again.
                    Money::Failed => Effect::money(purchase, Money::Held.fail(order)),
                    Money::Held => Effect::money(purchase, Money::Held.begin_return(true)),
                    Money::Returning { .. } | Money::Returned { .. } => Effect::Nothing,
                }
            }
            Event::Listed { .. }
            | Event::Deleted { .. }
            | Event::Reserved { .. }
            | Event::Order { .. }
            | Event::OrderUpdated { .. }
            | Event::Expired { .. }
            | Event::PaymentCreated { .. }
            | Event::PaymentCaptured { .. }
            | Event::PaymentFailed { .. }
            | Event::PaymentReleased { .. }
            | Event::PaymentRefunded { .. } => Effect::Nothing,
        }
    }
}

/// Whether it is this event that the reservation was written by.
fn is_of(event: Event, purchase: usize, reservation: Reservation) -> bool {
    let Event::Order { order, version, .. } = event else { return false };
    usize::from(order) == purchase && version == reservation.version
}

/// Which purchase an order's event is of.
fn order_of(event: Event) -> Option<usize> {
    let Event::Order { order, .. } = event else { return None };
    Some(usize::from(order))
}
