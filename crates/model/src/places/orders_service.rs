//! orders: its decisions, with other steps interleaved between its reads and writes.

use super::money::AUTHORISED;
use super::mutants::Mutant;
use super::state::{Purchase, Request, State};
use super::system::{Effect, PlacesModel};
use crate::protocol::Version;
use crate::protocol::event::Event;
use crate::protocol::order::{CancelReason, ListingReplica, Order};
use crate::protocol::places::Places;

impl PlacesModel {
    /// What `POST /api/orders` may choose now: the first time at random, after a conflict from what is free.
    pub fn choices(&self, state: &State, purchase: usize) -> Vec<Request> {
        let wanted = self.bounds.orders[purchase];
        let Some(listing) = state.replica.filter(|listing| !listing.deleted) else {
            return Vec::new();
        };
        // One buyer's orders are of different listings: they don't compete for places.
        let all = match self.bounds.slots {
            Some(_) => Places::only(purchase as u8),
            None => Places::up_to(listing.quantity),
        };
        let all_slots = 0..self.bounds.slots.unwrap_or(1);
        let (places, slots): (Vec<Places>, Vec<u8>) = match state.purchases[purchase].request {
            Request::None => (all.choices(wanted).collect(), all_slots.collect()),
            Request::Conflicted => {
                let free = all.without(self.taken(state, purchase));
                let takes_less = self.is_mutant(Mutant::FewerPlaces) && free != Places::NONE;
                let wanted = if takes_less { wanted.min(free.count()) } else { wanted };
                let is_free = |slot: &u8| !self.is_slot_taken(state, purchase, *slot);
                (free.choices(wanted).collect(), all_slots.filter(is_free).collect())
            }
            Request::Chosen { .. } => return Vec::new(),
        };
        let content = listing.content;
        let chosen = places.iter().flat_map(|places| {
            slots.iter().map(|slot| Request::Chosen { places: *places, slot: *slot, content })
        });
        chosen.collect()
    }

    /// After a conflict, the request finds too little. It ends an expired order, of whatever places, and reads again.
    pub fn end_expired(&self, state: &State) -> Effect {
        let expired = state.purchases.iter().position(Purchase::is_overdue);
        expired.map_or(Effect::Nothing, |expired| self.expire(state, expired))
    }

    /// Nothing has expired: 409. Its buyer may try again.
    pub fn refuse(&self, state: &State, purchase: usize) -> Option<State> {
        let mut next = state.clone();
        next.purchases[purchase].request = Request::None;
        (!state.purchases.iter().any(Purchase::is_overdue)).then_some(next)
    }

    /// `POST /api/orders` inserts the order.
    pub fn insert(&self, state: &State, purchase: usize) -> Option<State> {
        let Request::Chosen { places, slot, content } = state.purchases[purchase].request else {
            return None;
        };
        let mut next = state.clone();
        let conflicts =
            self.is_taken(state, purchase, places) || self.is_slot_taken(state, purchase, slot);
        next.purchases[purchase].request = Request::None;
        if conflicts {
            next.purchases[purchase].request = Request::Conflicted;
        } else {
            let order = Order::reserve(purchase as u8, places, slot, content);
            Effect::Order(purchase, order).apply(&mut next);
        }
        Some(next)
    }

    /// The places that a read of the unique index shows as taken, by others.
    fn taken(&self, state: &State, purchase: usize) -> Places {
        if self.is_mutant(Mutant::NoPlaceIndex) { Places::NONE } else { state.taken(purchase) }
    }

    /// Whether MongoDB's unique index on the places refuses this write.
    pub fn is_taken(&self, state: &State, purchase: usize, places: Places) -> bool {
        let taken = self.taken(state, purchase);
        if self.is_mutant(Mutant::IndexWithoutPlaces) {
            return taken != Places::NONE;
        }
        taken.intersects(places)
    }

    /// Whether the unique index on the buyer's slots refuses this write.
    pub fn is_slot_taken(&self, state: &State, purchase: usize, slot: u8) -> bool {
        let has_slot = |order: Order| {
            order.slot == slot && (order.unpaid || self.is_mutant(Mutant::SlotNotFreed))
        };
        let mut others = state.purchases.iter().enumerate().filter(|(other, _)| *other != purchase);
        self.bounds.slots.is_some()
            && !self.is_mutant(Mutant::NoSlotIndex)
            && others.any(|(_, other)| other.order.is_some_and(has_slot))
    }

    /// `DELETE /api/orders/{id}`.
    pub fn cancel(&self, state: &State, purchase: usize) -> Effect {
        let order =
            state.purchases[purchase].order.filter(|_| !state.purchases[purchase].has_expired);
        Effect::order(purchase, order.and_then(|order| order.cancel(CancelReason::User)))
    }

    /// The next buyer's attempt, the sweep, and the reminder all expire an order in this way.
    pub fn expire(&self, state: &State, purchase: usize) -> Effect {
        let Some(order) = state.purchases[purchase].order else { return Effect::Nothing };
        match order.cancel(CancelReason::Expired) {
            Some(_) if !state.purchases[purchase].has_expired => Effect::Retry,
            change => Effect::order(purchase, change),
        }
    }

    /// A consumer applies one of a message's writes.
    pub fn orders_consume(&self, state: &State, event: Event, write: usize) -> Effect {
        let decide = |purchase: u8, decide: &dyn Fn(Order) -> Option<_>| {
            let purchase = usize::from(purchase);
            Effect::order(purchase, state.purchases[purchase].order.and_then(decide))
        };
        match event {
            Event::Listed { .. } => self.replicate(state, event),
            // The version mark is first: between the two writes, nobody may order any more.
            Event::Deleted { .. } if write == 0 => self.replicate(state, event),
            Event::Deleted { .. } => decide(write as u8 - 1, &Order::ticket_deleted),
            Event::Reserved { order } => decide(order, &Order::confirm),
            Event::Expired { order } => self.expire(state, order.into()),
            Event::PaymentCreated { order, version }
            | Event::PaymentCaptured { order, version } => {
                self.consume_payment(state, order.into(), version)
            }
            Event::PaymentFailed { order, version } => {
                decide(order, &|order| order.payment_failed(version))
            }
            Event::PaymentReleased { order, version, relist }
            | Event::PaymentRefunded { order, version, relist } => {
                let relist = relist || self.is_mutant(Mutant::AlwaysRelisted);
                decide(order, &|order| order.payment_returned(version, relist))
            }
            Event::Order { .. } | Event::OrderUpdated { .. } | Event::RefundRequired { .. } => {
                Effect::Nothing
            }
        }
    }

    fn replicate(&self, state: &State, event: Event) -> Effect {
        ListingReplica::follow(state.replica, event).map_or(Effect::Nothing, Effect::Replica)
    }

    /// The consumer of `payment.created`. If the order has expired, it has to read what is free.
    fn consume_payment(&self, state: &State, purchase: usize, version: Version) -> Effect {
        let Some(order) = self.remembered(state, purchase) else { return Effect::Retry };
        if order.is_paid_late(version) {
            Effect::Undecided
        } else {
            Effect::order(purchase, order.paid(version, None))
        }
    }

    /// What the consumer of `payment.created` may choose for an order that was paid late: any free places, if the listing
    /// is as it was ordered. None: it isn't late.
    pub fn choices_again(&self, state: &State, purchase: usize) -> Option<Vec<Places>> {
        let order =
            self.remembered(state, purchase).filter(|order| order.is_paid_late(AUTHORISED))?;
        if self.is_mutant(Mutant::LateWithoutIndex) {
            return Some(vec![order.places]);
        }
        let is_for_sale =
            |listing: &ListingReplica| !listing.deleted && listing.content == order.content;
        let listing = state.replica.filter(is_for_sale);
        let free = listing.map_or(Places::NONE, |listing| {
            Places::up_to(listing.quantity).without(self.taken(state, purchase))
        });
        Some(free.choices(self.bounds.orders[purchase]).collect())
    }

    /// There are not as many: the payment can't be honoured.
    pub fn reject_payment(&self, state: &State, purchase: usize) -> Option<State> {
        let order = self.remembered(state, purchase)?;
        let mut next = state.clone();
        Effect::order(purchase, order.paid(AUTHORISED, None)).apply(&mut next);
        Some(next)
    }

    /// The consumer of `payment.created` writes what it has chosen. On a duplicate key it reads again.
    pub fn finish_late_payment(&self, state: &State, purchase: usize) -> Option<State> {
        let places = state.purchases[purchase].again?;
        let mut next = state.clone();
        next.purchases[purchase].again = None;
        let is_refused = self.is_taken(state, purchase, places);
        if !is_refused || self.is_mutant(Mutant::LateWithoutIndex) {
            let order = self.remembered(state, purchase)?;
            Effect::order(purchase, order.paid(AUTHORISED, Some(places))).apply(&mut next);
        }
        Some(next)
    }

    fn remembered(&self, state: &State, purchase: usize) -> Option<Order> {
        let order = state.purchases[purchase].order?;
        Some(if self.is_mutant(Mutant::ForgetfulOrder) {
            Order { answer: None, payment_version: 0, settled: false, ..order }
        } else {
            order
        })
    }
}
