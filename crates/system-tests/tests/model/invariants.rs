//! What must hold: in every state, and in every state in which nothing is under way.

use common::events::{Order as Told, OrderStatus};
use orders::store::InsertOutcome;
use payments::domain::Status;
use stateright::Property;

use crate::messages::{Event, Listener};
use crate::state::{Deal, Letter, State};
use crate::world::World;

pub fn all() -> Vec<Property<World>> {
    vec![
        Property::always("I1: a ticket has at most one live order", |_, state: &State| {
            state.orders().filter(|order| order.active).count() <= 1
        }),
        Property::always(
            "I2: what was charged is a complete order or given back",
            |world: &World, state: &State| {
                !is_over(world, state) || state.deals.iter().all(is_square)
            },
        ),
        Property::always("I3: an order is charged at most once", |_, state: &State| {
            state.deals.iter().all(|deal| deal.till.charges() <= 1)
        }),
        Property::always("I3: a card is tried at most once for a click", |_, state: &State| {
            state.deals.iter().all(|deal| deal.till.tries() <= 1)
        }),
        Property::always("I4: what orders tells arrives", |world: &World, state: &State| {
            !is_quiet(world, state) || orders_are_known(world, state)
        }),
        Property::always("I4: what tickets tells arrives", |world: &World, state: &State| {
            !is_quiet(world, state) || ticket_is_known(state)
        }),
        Property::always("I4: what payments tells arrives", |world: &World, state: &State| {
            !is_quiet(world, state) || state.deals.iter().all(payment_is_known)
        }),
        Property::always("I5: a hold that has run out is free", next_buyer_gets_it),
        Property::always(
            "I5: a ticket without a live order is free in tickets",
            |world: &World, state: &State| {
                !is_quiet(world, state)
                    || state.holder().is_some()
                    || state.ticket.order_id.is_none()
            },
        ),
        Property::always("I5: a deleted ticket has no order", |world: &World, state: &State| {
            !is_quiet(world, state) || !state.ticket.deleted || state.holder().is_none()
        }),
        Property::always("I6: newer wins in tickets", newer_wins),
        Property::always("I8: no message waits for ever", |world: &World, state: &State| {
            !is_quiet(world, state)
                || !state.letters.iter().any(|letter| world.waits_for_ever(state, letter))
        }),
        Property::always("I5: a hold that has run out is ended", |world: &World, state: &State| {
            !is_quiet(world, state) || !state.deals.iter().any(is_overdue)
        }),
        Property::sometimes("a ticket is sold", |world: &World, state: &State| {
            is_quiet(world, state) && state.deals.iter().any(|deal| is(deal, OrderStatus::Complete))
        }),
        Property::sometimes("the second buyer gets it", |world: &World, state: &State| {
            is_quiet(world, state)
                && state.deals.get(1).is_some_and(|deal| is(deal, OrderStatus::Complete))
        }),
        Property::sometimes("one who paid late gets it", |world: &World, state: &State| {
            is_quiet(world, state)
                && state.orders().any(|order| order.active && order.holds.len() > 1)
        }),
        Property::sometimes(
            "one who paid late gets the money back",
            |world: &World, state: &State| {
                is_quiet(world, state) && state.deals.iter().any(|deal| deal.till.refunds() == 1)
            },
        ),
    ]
}

/// Nothing is on its way, and no work is due. What a frozen process has in hand may be lost with it.
fn is_quiet(world: &World, state: &State) -> bool {
    state.deals.iter().all(|deal| is_at_rest(world, deal))
        && state.letters.iter().all(|letter| {
            !letter.in_outbox && (!letter.is_awaited() || world.is_stuck(state, letter))
        })
}

/// Quiet, and no hold runs any more. Until then a charge may be unheard of: a process that was frozen with
/// a confirmation in hand may send it after another has given the attempt up. The end of the hold makes
/// payments cancel the PaymentIntent, and so hear of it.
fn is_over(world: &World, state: &State) -> bool {
    let runs = state.orders().any(|order| order.unpaid);
    !runs && is_quiet(world, state)
}

fn is_at_rest(world: &World, deal: &Deal) -> bool {
    let is_paying = deal.payment.is_some_and(|payment| payment.work_at.is_some());
    let is_timed = deal.schedule.is_some_and(|schedule| schedule.rings_at().is_some());
    let is_due = if world.bounds.timers { deal.is_over && is_timed } else { is_overdue(deal) };
    deal.retaking.is_none() && !is_paying && !is_due
}

fn is_overdue(deal: &Deal) -> bool {
    deal.is_over && deal.order.is_some_and(|order| order.unpaid)
}

fn is(deal: &Deal, status: OrderStatus) -> bool {
    deal.order.is_some_and(|order| order.status == status)
}

/// Either all of it was given back, or an order was sold for it.
fn is_square(deal: &Deal) -> bool {
    let kept = deal.till.charges() - deal.till.refunds();
    kept == usize::from(is(deal, OrderStatus::Complete))
}

/// The newest that orders has told of an order.
fn newest<'a>(state: &'a State, deal: &Deal) -> Option<(&'a Letter, &'a Told)> {
    let order = deal.order?;
    let told = state.letters.iter().filter_map(|letter| {
        let Event::Order(told) = &letter.message.get().event else { return None };
        (told.id == order.id).then_some((letter, told))
    });
    told.max_by_key(|(_, told)| told.version)
}

/// Whatever else it has heard: once tickets has heard the newest of an order, the ticket is that order's
/// if the order lives, and not if it doesn't; unless a newer hold has it.
fn newer_wins(_: &World, state: &State) -> bool {
    let mut newest = state.deals.iter().filter_map(|deal| newest(state, deal));
    newest.all(|(letter, told)| {
        let has_heard = !letter.in_outbox && !letter.is_awaited_by(Listener::Tickets);
        let has_it = state.ticket.order_id == Some(told.id);
        let is_older = told.hold < state.ticket.hold;
        !has_heard
            || has_it == told.status.is_live()
            || (is_older && !has_it)
            || state.ticket.deleted
    })
}

fn orders_are_known(world: &World, state: &State) -> bool {
    let told = |deal| newest(state, deal).map(|(_, told)| told);
    let holds = state.deals.iter().filter_map(told).map(|told| (told.hold, told.version));
    let in_tickets = (state.ticket.hold, state.ticket.hold_version);
    holds.max().is_none_or(|newest| newest == in_tickets)
        && state.deals.iter().zip(world.bounds.clicks).all(|(deal, clicks)| {
            let Some(told) = told(deal) else { return true };
            let in_payments = deal.payment.map(|payment| payment.order.version);
            let in_expiration = deal.schedule.map(|schedule| schedule.order_version);
            (*clicks == 0 || in_payments == Some(told.version))
                && (!world.bounds.timers || in_expiration == Some(told.version))
        })
}

/// The replica is as the ticket, and the order that the ticket is locked for knows that it is.
fn ticket_is_known(state: &State) -> bool {
    let told = state.letters.iter().filter_map(|letter| {
        let Event::Ticket(ticket, _) = &letter.message.get().event else { return None };
        Some(ticket.version)
    });
    let locked = state
        .deals
        .iter()
        .find(|deal| deal.order.is_some_and(|order| state.ticket.order_id == Some(order.id)));
    state.listing.map(|listing| listing.version) == told.max()
        && state.listing.is_some_and(|listing| listing.deleted == state.ticket.deleted)
        && !locked.is_some_and(|deal| is(deal, OrderStatus::Created))
}

fn payment_is_known(deal: &Deal) -> bool {
    let Some(order) = deal.order else { return true };
    let Some(charge) = deal.payment.and_then(|payment| payment.get().charge.as_ref()) else {
        return true;
    };
    let seen = order.payment.as_ref();
    match charge.status {
        Status::Created | Status::Processing => seen.is_none(),
        Status::Failed => seen.is_none() && !order.active,
        Status::Completed | Status::Refunding => seen.is_some_and(|seen| seen.answer.is_some()),
        Status::Refunded => seen.is_some_and(|seen| seen.refunded),
    }
}

/// Whoever comes next takes it, with nobody's help: expiration, the broker, tickets and payments may all
/// be down.
fn next_buyer_gets_it(world: &World, state: &State) -> bool {
    let is_free = state
        .deals
        .iter()
        .all(|deal| is_overdue(deal) || !deal.order.is_some_and(|order| order.active));
    let is_offered = state.listing.is_some_and(|listing| !listing.deleted);
    if !is_free || !is_offered {
        return true;
    }
    let mut state = state.clone();
    if let Some(holder) = state.holder() {
        world.expire(&state, holder).write(&mut state);
    }
    let hold = world.next_hold(&state);
    world.place(&state, usize::MAX, true, &[hold]) == InsertOutcome::Inserted
}
