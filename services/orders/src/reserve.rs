//! Reserving places: the order's insert is the reservation, and unique indexes let exactly one order have a place, and a
//! slot of its buyer.
//!
//! Places are chosen at random, so that one insert is enough as long as most are free. Only a duplicate key makes it read
//! which are taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::ids::{OrderId, UserId};
use common::{Money, Place, Quantity, Time};
use httpkit::Result;
use httpkit::idempotency::RequestIdentity;
use store::{ConflictError, StoredResponse};

use crate::domain::{Expiry, Order, ReserveRefusal, Slot, TicketReplica, choose_places};
use crate::shortages::Shortage;
use crate::state::App;
use crate::store::{InsertOutcome, MAX_ATTEMPTS};
use crate::view;

/// What a buyer wants of a listing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    pub quantity: Option<Quantity>,
    /// Per place, as the buyer saw it.
    pub price: Option<Money>,
}

/// Reserves places of the listing for the buyer.
pub async fn reserve(
    app: &App,
    request: &RequestIdentity,
    buyer: UserId,
    ticket: &TicketReplica,
    wanted: Wanted,
) -> Result<StoredResponse> {
    let shortages = app.store.shortages();
    let quantity = ticket.check_reservable(wanted.quantity, wanted.price, app.clock.now())?;
    let refuse = || {
        let shortage = shortages.of(ticket, quantity, app.clock.now());
        shortage.and_then(|it| it.refusal(buyer)).map_or(Ok(()), Err)
    };
    refuse()?;
    let turn = shortages.turn(ticket.id).await;
    if turn.is_some() {
        refuse()?;
    }
    let now = app.clock.now();
    // Nothing is known yet: all places and all slots may be free.
    let mut taken = BTreeSet::new();
    let mut slot = app.slots.choose(&[], &mut rand::rng());
    for _ in 0..MAX_ATTEMPTS {
        let places = choose_places(ticket.listing.quantity, &taken, quantity, &mut rand::rng());
        let (Some(places), Some(slot_taken)) = (places, slot) else { break };
        let (id, ttl) = (OrderId::new(now), app.reservation_ttl);
        let change = Order::reserve(id, buyer, ticket.as_ordered(), places, slot_taken, now, ttl);
        let response = view::created(&change.thing, now)?;
        match app.store.insert_for(request, &response, &change).await? {
            InsertOutcome::Inserted => {
                shortages.is_over(ticket.id);
                return Ok(response);
            }
            InsertOutcome::PlaceTaken => {
                let before = shortages.before(ticket.id);
                taken = match other_free_places(app, ticket, quantity, now).await? {
                    Free::Enough { taken } => taken,
                    Free::TooFew(shortage) => {
                        let shortage = with_holder(app, ticket, shortage).await?;
                        if let Some(before) = before {
                            shortages.remember(before, ticket, &shortage);
                        }
                        match shortage.refusal(buyer) {
                            Some(refusal) => return Err(refusal.into()),
                            // The last one was given back a moment ago.
                            None => BTreeSet::new(),
                        }
                    }
                };
            }
            InsertOutcome::SlotTaken => slot = Some(free_slot(app, buyer, now).await?),
            InsertOutcome::Conflict => {}
        }
    }
    Err(ConflictError.into())
}

/// Whether enough places of a listing are free.
pub enum Free {
    /// All but these.
    Enough { taken: BTreeSet<Place> },
    /// Too few.
    TooFew(Shortage),
}

/// Whether enough places of a listing are free.
pub async fn free_places(
    app: &App,
    ticket: &TicketReplica,
    wanted: Quantity,
    now: Time,
) -> store::Result<Free> {
    let taken = app.store.taken_places(ticket.id).await?;
    end_expired(app, ticket, taken, wanted, now).await
}

/// The same, after one of them turned out to be taken.
async fn other_free_places(
    app: &App,
    ticket: &TicketReplica,
    wanted: Quantity,
    now: Time,
) -> store::Result<Free> {
    if ticket.listing.quantity > Quantity::ONE {
        return free_places(app, ticket, wanted, now).await;
    }
    end_expired(app, ticket, [Place::FIRST].into(), wanted, now).await
}

/// If too few places are free, ends unpaid orders that have expired: a buyer doesn't wait for a timer.
async fn end_expired(
    app: &App,
    ticket: &TicketReplica,
    mut taken: BTreeSet<Place>,
    wanted: Quantity,
    now: Time,
) -> store::Result<Free> {
    let all = ticket.listing.quantity;
    // The replica may be older than one that has more places.
    taken.retain(|place| place.number() <= all.get());
    let available = |taken: &BTreeSet<Place>| all.minus(Quantity::of(taken.iter()));
    while available(&taken) < wanted {
        let unpaid = app.store.unpaid_orders(ticket.id).await?;
        if unpaid.is_empty() {
            return Ok(Free::TooFew(Shortage { available: available(&taken), holder: None }));
        }
        for order in unpaid {
            if available(&taken) >= wanted {
                break;
            }
            let Expiry::Due(change) = order.expire(now) else {
                let (available, holder) = (available(&taken), Some(Arc::new(order)));
                return Ok(Free::TooFew(Shortage { available, holder }));
            };
            // If somebody else is faster, it is ended or paid, which the next insert shows.
            app.store.replace(order.version, &change).await?;
            taken.retain(|place| !order.places.contains(place));
        }
    }
    Ok(Free::Enough { taken })
}

/// The shortage, with an order that has all that others may ask for, if no unpaid one does.
async fn with_holder(
    app: &App,
    ticket: &TicketReplica,
    mut shortage: Shortage,
) -> store::Result<Shortage> {
    if shortage.available == Quantity::NONE && shortage.holder.is_none() {
        shortage.holder = app.store.occupying_order(ticket.id).await?.map(Arc::new);
    }
    Ok(shortage)
}

impl Shortage {
    /// Why this buyer gets no places. None: no order has them.
    fn refusal(&self, buyer: UserId) -> Option<ReserveRefusal> {
        if self.available > Quantity::NONE {
            return Some(ReserveRefusal::NotEnoughLeft { available: self.available });
        }
        self.holder.as_ref().map(|order| order.blocks(buyer))
    }
}

/// A slot of the buyer's that no unpaid order takes. If there is none, one that has expired is ended.
async fn free_slot(app: &App, buyer: UserId, now: Time) -> Result<Slot> {
    let unpaid = app.store.unpaid_orders_of(buyer).await?;
    let taken: Vec<Slot> = unpaid.iter().filter_map(|order| order.slot).collect();
    if let Some(free) = app.slots.choose(&taken, &mut rand::rng()) {
        return Ok(free);
    }
    for order in unpaid {
        match (order.expire(now), order.slot) {
            (Expiry::Due(change), Some(slot)) => {
                // If somebody else is faster, it is ended or paid: either way the slot is free.
                app.store.replace(order.version, &change).await?;
                return Ok(slot);
            }
            (Expiry::NotBefore(until), _) => {
                let limit = app.slots.number();
                return Err(ReserveRefusal::TooManyReservations { limit, until }.into());
            }
            (Expiry::Due(_) | Expiry::Nothing, _) => {}
        }
    }
    Err(ConflictError.into())
}
