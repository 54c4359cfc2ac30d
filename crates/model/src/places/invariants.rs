//! The properties: some hold in every state, others in every idle state.

use stateright::Property;

use super::money::Money;
use super::state::{Purchase, State, SummaryWorker};
use super::system::PlacesModel;
use crate::protocol::event::{Event, Listener, OrderStatus};
use crate::protocol::listing::{Reservation, ReservationStatus, Summary};
use crate::protocol::order::{Answer, Order};
use crate::protocol::places::Places;

pub fn all() -> Vec<Property<PlacesModel>> {
    [always(), when_idle(), reachable()].into_iter().flatten().collect()
}

/// What holds in every state.
fn always() -> Vec<Property<PlacesModel>> {
    vec![
        Property::always("I1: a place has one buyer", |_, state: &State| has_one_buyer(state)),
        Property::always("I1: no more is sold than the listing has", |_, state: &State| {
            let all = Places::up_to(state.listing.quantity);
            state.orders().all(|order| !order.is_live() || order.places.is_within(all))
        }),
        Property::always(
            "an order has as many places as its buyer has asked for",
            |model: &PlacesModel, state: &State| {
                let has_asked = |(asked, purchase): (&u8, &Purchase)| {
                    purchase.order.is_none_or(|order| order.places.count() == *asked)
                };
                model.bounds.orders.iter().zip(&state.purchases).all(has_asked)
            },
        ),
        Property::always(
            "I5: places whose reservation has expired can be ordered",
            next_buyer_can_order,
        ),
        Property::always(
            "a buyer has only so many reservations",
            |model: &PlacesModel, state: &State| {
                let unpaid = state.orders().filter(|order| order.unpaid).count();
                model.bounds.slots.is_none_or(|slots| unpaid <= usize::from(slots))
            },
        ),
        Property::always("a buyer with fewer reservations can order", buyer_has_slot),
        Property::always("I6: newer wins in tickets", |model: &PlacesModel, state: &State| {
            let consumed = |purchase: &Purchase| {
                let Some(Order { index, .. }) = purchase.order else { return true };
                let has_consumed = !state.deliveries.iter().any(|delivery| {
                    matches!(delivery.event, Event::Order { order, .. } if order == index)
                        && delivery.is_pending_for(Listener::Tickets)
                });
                !has_consumed || is_known_to_tickets(model, purchase)
            };
            state.purchases.iter().all(consumed)
        }),
        Property::always(
            "a listing with a known reservation is not deleted",
            |_, state: &State| !state.deleted_by_mistake,
        ),
    ]
}

/// What holds in every state in which nothing is left to do.
fn when_idle() -> Vec<Property<PlacesModel>> {
    vec![
        Property::always(
            "I2: every charge belongs to a complete order or is refunded",
            |model: &PlacesModel, state: &State| {
                !is_idle(model, state) || state.purchases.iter().all(is_balanced)
            },
        ),
        Property::always("I4: events of orders are consumed", |model: &PlacesModel, state| {
            !is_idle(model, state)
                || state.purchases.iter().all(|purchase| {
                    is_known_to_tickets(model, purchase) && is_known_to_expiration(model, purchase)
                })
        }),
        Property::always("I4: events of tickets are consumed", |model: &PlacesModel, state| {
            !is_idle(model, state) || tickets_are_known(model, state)
        }),
        Property::always("I4: events of payments are consumed", |model: &PlacesModel, state| {
            !is_idle(model, state) || state.purchases.iter().all(is_payment_known)
        }),
        Property::always(
            "the summary is that of the reservations",
            |model: &PlacesModel, state: &State| {
                let matters = model.bounds.summaries > 0 && !state.listing.deleted;
                !matters
                    || !is_idle(model, state)
                    || state.listing.summary == Summary::of(state.reservations())
            },
        ),
        Property::always("I5: a deleted listing has no order", |model: &PlacesModel, state| {
            !is_idle(model, state) || !state.listing.deleted || !state.orders().any(Order::is_live)
        }),
        Property::always(
            "I5: an order whose reservation has expired is cancelled",
            |model: &PlacesModel, state: &State| {
                !is_idle(model, state) || !state.purchases.iter().any(Purchase::is_overdue)
            },
        ),
        Property::always("I8: no message waits indefinitely", |model: &PlacesModel, state| {
            !is_idle(model, state)
                || !state
                    .deliveries
                    .iter()
                    .any(|delivery| model.waits_indefinitely(state, delivery))
        }),
    ]
}

/// What can be reached: without it, the other properties would prove little.
fn reachable() -> Vec<Property<PlacesModel>> {
    fn is_sold(purchase: &Purchase) -> bool {
        purchase.order.is_some_and(|order| order.status == OrderStatus::Complete)
    }
    vec![
        Property::sometimes("all places are reserved by different buyers", |_, state: &State| {
            state.orders().filter(|order| order.is_live()).count()
                == usize::from(state.listing.quantity)
        }),
        Property::sometimes("all places are sold", |model: &PlacesModel, state: &State| {
            let sold = state.purchases.iter().filter(|purchase| is_sold(purchase));
            let sold = sold.filter_map(|purchase| purchase.order).map(|order| order.places.count());
            is_idle(model, state) && sold.sum::<u8>() == state.listing.quantity
        }),
        Property::sometimes("the listing is deleted", |model: &PlacesModel, state: &State| {
            is_idle(model, state) && state.listing.deleted
        }),
        Property::sometimes("a late payment is honoured", |model: &PlacesModel, state: &State| {
            // Created, confirmed, expired, complete.
            let is_honoured = |order: Order| {
                order.status == OrderStatus::Complete && order.version > 3 && !order.refund_required
            };
            is_idle(model, state) && state.orders().any(is_honoured)
        }),
        Property::sometimes("a late payment is refunded", |model: &PlacesModel, state: &State| {
            let is_refunded = |purchase: &Purchase| {
                purchase.order.is_some_and(|order| order.answer == Some(Answer::Rejected))
                    && matches!(purchase.money, Money::Returned { .. })
            };
            is_idle(model, state) && state.purchases.iter().any(is_refunded)
        }),
        Property::sometimes(
            "a buyer has all reservations that they may have",
            |model: &PlacesModel, state: &State| {
                let unpaid = state.orders().filter(|order| order.unpaid).count();
                model.bounds.slots.is_some_and(|slots| unpaid == usize::from(slots))
            },
        ),
        Property::sometimes("places are withdrawn", |model: &PlacesModel, state: &State| {
            let withdrawn =
                |reservation: Reservation| reservation.status == ReservationStatus::Withdrawn;
            is_idle(model, state) && state.reservations().any(withdrawn)
        }),
    ]
}

/// No message is pending, and no work is due.
fn is_idle(model: &PlacesModel, state: &State) -> bool {
    let is_summarised = !state.listing.is_dirty()
        && state.summaries.iter().all(|worker| *worker == SummaryWorker::Idle);
    is_summarised
        && state.purchases.iter().all(|purchase| is_purchase_idle(model, purchase))
        && state.deliveries.iter().all(|delivery| {
            !delivery.in_outbox && (!delivery.is_pending() || model.is_stuck(state, delivery))
        })
}

fn is_purchase_idle(model: &PlacesModel, purchase: &Purchase) -> bool {
    let is_refunding = matches!(purchase.money, Money::Returning { .. });
    let is_timed = purchase.schedule.is_some_and(|schedule| schedule.is_due);
    let is_due =
        if model.bounds.timers { purchase.has_expired && is_timed } else { purchase.is_overdue() };
    purchase.again.is_none() && !is_refunding && !is_due
}

fn has_one_buyer(state: &State) -> bool {
    let mut taken = Places::NONE;
    let owners = state.purchases.iter().filter(|purchase| purchase.owns_places());
    for order in owners.filter_map(|purchase| purchase.order) {
        if taken.intersects(order.places) {
            return false;
        }
        taken = taken.union(order.places);
    }
    true
}

/// Every charge is refunded, or belongs to a complete order.
fn is_balanced(purchase: &Purchase) -> bool {
    let is_complete = purchase.order.is_some_and(|order| order.status == OrderStatus::Complete);
    is_complete == (purchase.money == Money::Held)
}

/// Tickets has the present state of the order.
fn is_known_to_tickets(model: &PlacesModel, purchase: &Purchase) -> bool {
    let known = purchase.reservation.map(|known| (known.status, known.places));
    let of = |order: Order| (ReservationStatus::of(order.status, order.occupies), order.places);
    known == purchase.order.map(of) || !model.is_modelled(Listener::Tickets)
}

fn is_known_to_expiration(model: &PlacesModel, purchase: &Purchase) -> bool {
    let is_due = purchase.schedule.is_some_and(|schedule| schedule.is_due);
    let is_unpaid = purchase.order.is_some_and(|order| order.unpaid);
    !model.bounds.timers || !is_due || is_unpaid
}

/// The replica equals the listing, and whose reservation is known to tickets has been confirmed.
fn tickets_are_known(model: &PlacesModel, state: &State) -> bool {
    let is_unconfirmed =
        |order: Order| order.status == OrderStatus::Created && model.is_modelled(Listener::Tickets);
    state.replica.is_some_and(|replica| {
        (replica.version, replica.deleted) == (state.listing.version, state.listing.deleted)
    }) && !state.orders().any(is_unconfirmed)
}

fn is_payment_known(purchase: &Purchase) -> bool {
    let Some(order) = purchase.order else { return true };
    match purchase.money {
        Money::None => order.answer.is_none(),
        Money::Failed => !order.is_live() && (order.settled || !order.refund_required),
        Money::Held | Money::Returning { .. } => order.answer.is_some(),
        Money::Returned { .. } => order.settled,
    }
}

/// The next buyer can order what is free, without any other service: expiration, the broker, tickets and payments may all be
/// down.
fn next_buyer_can_order(model: &PlacesModel, state: &State) -> bool {
    let Some(listing) = state.replica.filter(|listing| !listing.deleted) else { return true };
    let owned =
        state.purchases.iter().filter(|purchase| purchase.owns_places() && !purchase.is_overdue());
    let owned = owned.filter_map(|purchase| purchase.order);
    let owned = owned.fold(Places::NONE, |owned, order| owned.union(order.places));
    let free = Places::up_to(listing.quantity).without(owned);
    if free == Places::NONE {
        return true;
    }
    let state = without_overdue(model, state);
    !model.is_taken(&state, usize::MAX, free)
}

/// The same for a buyer who has reserved less than they may.
fn buyer_has_slot(model: &PlacesModel, state: &State) -> bool {
    let Some(slots) = model.bounds.slots else { return true };
    let state = without_overdue(model, state);
    let unpaid = state.orders().filter(|order| order.unpaid).count();
    unpaid >= usize::from(slots)
        || (0..slots).any(|slot| !model.is_slot_taken(&state, usize::MAX, slot))
}

/// As the next buyer's request makes it.
fn without_overdue(model: &PlacesModel, state: &State) -> State {
    let mut next = State { deliveries: Vec::new(), ..state.clone() };
    for purchase in 0..state.purchases.len() {
        if state.purchases[purchase].is_overdue() {
            model.expire(state, purchase).apply(&mut next);
        }
    }
    next
}
