//! I6, of tickets: its reservations agree with the orders, and each listing's summary with its reservations.

use std::collections::BTreeSet;

use super::index::Index;
use super::snapshot::{Order, OrderStatus, Reservation, ReservationStatus, Summary, Ticket};
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    for order in &index.snapshot.orders {
        agrees(index, order, index.reservations.get(order.id.as_str()).copied(), violations);
    }
    for ticket in &index.snapshot.tickets {
        summary_agrees(index, ticket, violations);
    }
}

/// What tickets has of an order.
fn agrees(
    index: &Index<'_>,
    order: &Order,
    reservation: Option<&Reservation>,
    violations: &mut Violations,
) {
    let expected = match order.status {
        OrderStatus::Created | OrderStatus::AwaitingPayment => ReservationStatus::Reserved,
        OrderStatus::Complete => ReservationStatus::Sold,
        OrderStatus::Cancelled if order.withdrawn => ReservationStatus::Withdrawn,
        OrderStatus::Cancelled => ReservationStatus::Ended,
    };
    let ticket = index.tickets.get(order.ticket_id.as_str());
    let is_deleted = ticket.is_none_or(|ticket| ticket.deleted);
    let agrees = match reservation {
        Some(reservation) => {
            let has_ended = expected == ReservationStatus::Ended;
            reservation.status == expected
                && reservation.ticket_id == order.ticket_id
                && reservation.order_version <= order.version
                && (has_ended || reservation.places == order.places)
        }
        None => is_deleted,
    };
    if !agrees {
        let Order { id, places, version, .. } = order;
        violations.add(
            Invariant::NewerWins,
            format!(
                "order {id} is {expected:?} with the places {places:?} at version {version}; tickets has {reservation:?}"
            ),
        );
    }
}

/// A listing's summary counts the places of its reservations, each once. A listing of one names the order that has it.
fn summary_agrees(index: &Index<'_>, ticket: &Ticket, violations: &mut Violations) {
    if ticket.deleted {
        return;
    }
    let id = &ticket.id;
    let orders = index.orders_of.get(id.as_str()).map_or(&[][..], Vec::as_slice);
    if ticket.quantity == 1 {
        let holder = orders.iter().find(|order| order.status.is_live());
        let sold = holder.is_some_and(|order| order.status == OrderStatus::Complete);
        let expected = (holder.map(|order| order.id.as_str()), sold);
        let actual = (ticket.order_id.as_deref(), ticket.sold);
        if actual != expected {
            violations.add(
                Invariant::NewerWins,
                format!(
                    "ticket {id} has (order, sold) {actual:?}; according to orders it is {expected:?}"
                ),
            );
        }
    }
    let of_ticket = index.reservations_of.get(id.as_str()).map_or(&[][..], Vec::as_slice);
    let places = |status: ReservationStatus| {
        let reservations = of_ticket.iter().filter(|it| it.status == status);
        let places: BTreeSet<i64> = reservations.flat_map(|it| it.places.iter().copied()).collect();
        places.len() as u64
    };
    let expected = Summary {
        reserved: places(ReservationStatus::Reserved),
        sold: places(ReservationStatus::Sold),
        withdrawn: places(ReservationStatus::Withdrawn),
    };
    if ticket.summary != expected {
        let actual = ticket.summary;
        violations.add(
            Invariant::NewerWins,
            format!(
                "the summary of ticket {id} is {actual:?}; by its reservations it is {expected:?}"
            ),
        );
    }
}
