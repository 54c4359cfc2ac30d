//! I6, of tickets: its reservations agree with the orders, and each listing's summary with its reservations.

use std::collections::BTreeSet;

use super::index::Index;
use super::snapshot::{Order, OrderStatus, Reservation, ReservationStatus, Ticket};
use super::{Invariant, Violations};

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
    let is_deleted = index.tickets.get(order.ticket_id.as_str()).is_none_or(|it| it.deleted);
    let agrees = match reservation {
        Some(reservation) => {
            let has_ended = expected == ReservationStatus::Ended;
            reservation.status == expected
                && reservation.ticket_id == order.ticket_id
                && reservation.order_version <= order.version
                && (has_ended || reservation.places == order.places)
        }
        // A deleted listing needs no reservations; and of an order that ended before the upgrade, nothing has to be known.
        None => is_deleted || index.snapshot.was_upgraded && expected == ReservationStatus::Ended,
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

/// The places of a listing by the state of their reservations, each counted once.
fn summary_agrees(index: &Index<'_>, ticket: &Ticket, violations: &mut Violations) {
    if ticket.deleted {
        return;
    }
    let of_ticket = index.reservations_of.get(ticket.id.as_str()).map_or(&[][..], Vec::as_slice);
    let places = |status: ReservationStatus| -> BTreeSet<i64> {
        let reservations = of_ticket.iter().filter(|it| it.status == status);
        reservations.flat_map(|it| it.places.iter().copied()).collect()
    };
    let [reserved, sold, withdrawn] =
        [ReservationStatus::Reserved, ReservationStatus::Sold, ReservationStatus::Withdrawn]
            .map(|status| places(status).len() as u64);
    let stored = (ticket.reserved, ticket.sold_places, ticket.withdrawn);
    let id = &ticket.id;
    if stored != (reserved, sold, withdrawn) {
        violations.add(
            Invariant::NewerWins,
            format!(
                "the summary of ticket {id} has (reserved, sold, withdrawn) {stored:?}; its reservations have {:?}",
                (reserved, sold, withdrawn)
            ),
        );
    }
    if ticket.quantity == 1 {
        let holder = of_ticket.iter().find(|it| it.status.is_live()).map(|it| &*it.order_id);
        let (holder, is_sold) = (holder, sold > 0);
        if (ticket.order_id.as_deref(), ticket.sold) != (holder, is_sold) {
            let actual = (&ticket.order_id, ticket.sold);
            violations.add(
                Invariant::NewerWins,
                format!(
                    "ticket {id} has (order, sold) {actual:?}; its reservations have {:?}",
                    (holder, is_sold)
                ),
            );
        }
    }
}
