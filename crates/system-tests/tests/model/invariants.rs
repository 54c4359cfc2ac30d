//! The properties: some hold in every state, others in every idle state.

use common::events::{Order as OrderEvent, OrderStatus};
use orders::store::InsertOutcome;
use payments::domain::Status;
use stateright::Property;

use crate::events::{Event, Listener};
use crate::state::{Delivery, Purchase, State};
use crate::system::SystemModel;

pub fn all() -> Vec<Property<SystemModel>> {
    vec![
        Property::always("I1: a ticket has at most one live order", |_, state: &State| {
            state.orders().filter(|order| order.active).count() <= 1
        }),
        Property::always(
            "I2: every charge belongs to a complete order or is refunded",
            |model: &SystemModel, state: &State| {
                !has_settled(model, state) || state.purchases.iter().all(is_balanced)
            },
        ),
        Property::always("I3: an order is charged at most once", |_, state: &State| {
            state.purchases.iter().all(|purchase| purchase.stripe.charges() <= 1)
        }),
        Property::always("I3: a card is charged at most once for a click", |_, state: &State| {
            state.purchases.iter().all(|purchase| purchase.stripe.attempts() <= 1)
        }),
        Property::always(
            "I4: events of orders are consumed",
            |model: &SystemModel, state: &State| {
                !is_idle(model, state) || orders_are_known(model, state)
            },
        ),
        Property::always(
            "I4: events of tickets are consumed",
            |model: &SystemModel, state: &State| !is_idle(model, state) || ticket_is_known(state),
        ),
        Property::always(
            "I4: events of payments are consumed",
            |model: &SystemModel, state: &State| {
                !is_idle(model, state) || state.purchases.iter().all(payment_is_known)
            },
        ),
        Property::always(
            "I5: a ticket whose reservation has expired can be ordered",
            next_buyer_can_order,
        ),
        Property::always(
            "I5: a ticket without a live order is unlocked",
            |model: &SystemModel, state: &State| {
                !is_idle(model, state)
                    || state.live_order().is_some()
                    || state.ticket.order_id.is_none()
            },
        ),
        Property::always(
            "I5: a deleted ticket has no order",
            |model: &SystemModel, state: &State| {
                !is_idle(model, state) || !state.ticket.deleted || state.live_order().is_none()
            },
        ),
        Property::always("I6: newer wins in tickets", newer_wins),
        Property::always(
            "I8: no message waits indefinitely",
            |model: &SystemModel, state: &State| {
                !is_idle(model, state)
                    || !state
                        .deliveries
                        .iter()
                        .any(|delivery| model.waits_indefinitely(state, delivery))
            },
        ),
        Property::always(
            "I5: an order whose reservation has expired is cancelled",
            |model: &SystemModel, state: &State| {
                !is_idle(model, state) || !state.purchases.iter().any(is_overdue)
            },
        ),
        Property::sometimes("a ticket is sold", |model: &SystemModel, state: &State| {
            is_idle(model, state)
                && state.purchases.iter().any(|purchase| is(purchase, OrderStatus::Complete))
        }),
        Property::sometimes(
            "the second buyer gets the ticket",
            |model: &SystemModel, state: &State| {
                is_idle(model, state)
                    && state
                        .purchases
                        .get(1)
                        .is_some_and(|purchase| is(purchase, OrderStatus::Complete))
            },
        ),
        Property::sometimes("a late payment is honoured", |model: &SystemModel, state: &State| {
            is_idle(model, state)
                && state.orders().any(|order| order.active && order.holds.len() > 1)
        }),
        Property::sometimes("a late payment is refunded", |model: &SystemModel, state: &State| {
            is_idle(model, state)
                && state.purchases.iter().any(|purchase| purchase.stripe.refunds() == 1)
        }),
    ]
}

/// No message is pending, and no work is due. A request of a suspended process may be lost with it.
fn is_idle(model: &SystemModel, state: &State) -> bool {
    state.purchases.iter().all(|purchase| is_purchase_idle(model, purchase))
        && state.deliveries.iter().all(|delivery| {
            !delivery.in_outbox && (!delivery.is_pending() || model.is_stuck(state, delivery))
        })
}

/// Idle, and every reservation has ended. Until then a charge may be unknown: a process that was suspended before it sent
/// a confirmation may send it after another one has abandoned the attempt. At the expiry payments cancels the
/// PaymentIntent, and learns of the charge.
fn has_settled(model: &SystemModel, state: &State) -> bool {
    let runs = state.orders().any(|order| order.unpaid);
    !runs && is_idle(model, state)
}

fn is_purchase_idle(model: &SystemModel, purchase: &Purchase) -> bool {
    let is_paying = purchase.payment.is_some_and(|payment| payment.next_run_at.is_some());
    let is_timed = purchase.schedule.is_some_and(|schedule| schedule.due_at().is_some());
    let is_due =
        if model.bounds.timers { purchase.has_expired && is_timed } else { is_overdue(purchase) };
    purchase.pending_retake.is_none() && !is_paying && !is_due
}

fn is_overdue(purchase: &Purchase) -> bool {
    purchase.has_expired && purchase.order.is_some_and(|order| order.unpaid)
}

fn is(purchase: &Purchase, status: OrderStatus) -> bool {
    purchase.order.is_some_and(|order| order.status == status)
}

/// Every charge is refunded, or belongs to a complete order.
fn is_balanced(purchase: &Purchase) -> bool {
    let kept = purchase.stripe.charges() - purchase.stripe.refunds();
    kept == usize::from(is(purchase, OrderStatus::Complete))
}

/// The latest event of an order.
fn latest<'a>(state: &'a State, purchase: &Purchase) -> Option<(&'a Delivery, &'a OrderEvent)> {
    let order = purchase.order?;
    let published = state.deliveries.iter().filter_map(|delivery| {
        let Event::Order(published) = &delivery.message.get().event else { return None };
        (published.id == order.id).then_some((delivery, published))
    });
    published.max_by_key(|(_, published)| published.version)
}

/// Once tickets has consumed the latest event of an order, in whatever order, the ticket is locked for it if and only if the
/// order is live; unless a newer hold has replaced it.
fn newer_wins(_: &SystemModel, state: &State) -> bool {
    let mut latest_events = state.purchases.iter().filter_map(|purchase| latest(state, purchase));
    latest_events.all(|(delivery, published)| {
        let has_consumed = !delivery.in_outbox && !delivery.is_pending_for(Listener::Tickets);
        let is_locked_for_it = state.ticket.order_id == Some(published.id);
        let is_older = published.hold < state.ticket.hold;
        !has_consumed
            || is_locked_for_it == published.status.is_live()
            || (is_older && !is_locked_for_it)
            || state.ticket.deleted
    })
}

fn orders_are_known(model: &SystemModel, state: &State) -> bool {
    let published = |purchase| latest(state, purchase).map(|(_, published)| published);
    let holds = state
        .purchases
        .iter()
        .filter_map(published)
        .map(|published| (published.hold, published.version));
    let in_tickets = (state.ticket.hold, state.ticket.hold_version);
    holds.max().is_none_or(|newest| newest == in_tickets)
        && state.purchases.iter().zip(model.bounds.clicks).all(|(purchase, clicks)| {
            let Some(published) = published(purchase) else { return true };
            let in_payments = purchase.payment.map(|payment| payment.order.version.get());
            let in_expiration = purchase.schedule.map(|schedule| schedule.order_version);
            (*clicks == 0 || in_payments == Some(published.version))
                && (!model.bounds.timers || in_expiration == Some(published.version))
        })
}

/// The replica equals the ticket, and the order that it is locked for has been confirmed.
fn ticket_is_known(state: &State) -> bool {
    let published = state.deliveries.iter().filter_map(|delivery| {
        let Event::Ticket(ticket, _) = &delivery.message.get().event else { return None };
        Some(ticket.version)
    });
    let locked = state.purchases.iter().find(|purchase| {
        purchase.order.is_some_and(|order| state.ticket.order_id == Some(order.id))
    });
    state.ticket_replica.map(|ticket_replica| ticket_replica.version) == published.max()
        && state
            .ticket_replica
            .is_some_and(|ticket_replica| ticket_replica.deleted == state.ticket.deleted)
        && !locked.is_some_and(|purchase| is(purchase, OrderStatus::Created))
}

fn payment_is_known(purchase: &Purchase) -> bool {
    let Some(order) = purchase.order else { return true };
    let Some(payment) = purchase.payment.and_then(|payment| payment.get().payment.as_ref()) else {
        return true;
    };
    let seen = order.payment.as_ref();
    match payment.status {
        Status::Created | Status::Processing => seen.is_none(),
        Status::Failed => seen.is_none() && !order.active,
        Status::Completed | Status::Refunding => seen.is_some_and(|seen| seen.answer.is_some()),
        Status::Refunded => seen.is_some_and(|seen| seen.refunded),
        Status::Unknown => false,
    }
}

/// The next buyer can order it without any other service: expiration, the broker, tickets and payments may all be down.
fn next_buyer_can_order(model: &SystemModel, state: &State) -> bool {
    let is_available = state
        .purchases
        .iter()
        .all(|purchase| is_overdue(purchase) || !purchase.order.is_some_and(|order| order.active));
    let is_listed = state.ticket_replica.is_some_and(|ticket_replica| !ticket_replica.deleted);
    if !is_available || !is_listed {
        return true;
    }
    let mut state = state.clone();
    if let Some(holder) = state.live_order() {
        model.expire(&state, holder).apply(&mut state);
    }
    let hold = model.next_hold(&state);
    model.place(&state, usize::MAX, true, &[hold]) == InsertOutcome::Inserted
}
