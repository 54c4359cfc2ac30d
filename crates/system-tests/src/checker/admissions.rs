//! A place of an order is admitted once, if the order was complete; and what the door staff has seen as admitted is recorded.

use std::collections::HashSet;

use super::acknowledged::AcknowledgedAdmission;
use super::index::Index;
use super::snapshot::ReservationStatus;
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    let mut wrong = |what: String| violations.add(Invariant::AdmittedOnce, what);
    for reservation in &index.snapshot.reservations {
        let order = &reservation.order_id;
        let mut seen = HashSet::new();
        for place in reservation.check_ins.iter().map(|one| one.place) {
            if !seen.insert(place) {
                wrong(format!("place {place} of order {order} was checked in twice"));
            }
            if !reservation.places.contains(&place) {
                wrong(format!("place {place} isn't one of order {order}, and was checked in"));
            }
        }
        let was_sold = match reservation.status {
            ReservationStatus::Sold | ReservationStatus::Withdrawn => true,
            // Refunded since, or never paid: its order knows.
            ReservationStatus::Ended | ReservationStatus::Reserved => index
                .orders
                .get(order.as_str())
                .is_some_and(|order| order.cancel_reason.as_deref() == Some("refunded")),
        };
        if !seen.is_empty() && !was_sold {
            wrong(format!("order {order} was never paid, and was checked in"));
        }
    }
    let mut admitted = HashSet::new();
    for AcknowledgedAdmission { order, place } in &index.snapshot.acknowledged.admitted {
        if !admitted.insert((order, place)) {
            wrong(format!("place {place} of order {order} was admitted twice"));
        }
        let reservation = index.reservations.get(order.as_str());
        let is_kept = reservation
            .is_some_and(|reservation| reservation.check_ins.iter().any(|one| one.place == *place));
        if !is_kept {
            wrong(format!("place {place} of order {order} was admitted, and isn't recorded"));
        }
    }
}
