//! A place of an order is admitted once, while tickets has its reservation as sold; and what the door staff has seen as admitted is
//! recorded.

use std::collections::{HashMap, HashSet};

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
    for order in after_their_end(index) {
        wrong(format!("order {order} was checked in when tickets no longer had it as sold"));
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

/// The orders with a check-in at a time when they weren't sold, as tickets knew them: all writes to reservations, in the order of
/// MongoDB's oplog. (orders may have refunded one a moment before that; the event is on its way to the door then.)
fn after_their_end<'a>(index: &Index<'a>) -> Vec<&'a str> {
    let mut known: HashMap<&str, ReservationStatus> = HashMap::new();
    let mut found = Vec::new();
    let writes = index.snapshot.oplog.iter();
    for write in writes.filter(|write| write.namespace == "tickets.reservations") {
        if let Some(status) = write.reservation {
            known.insert(&write.id, status);
        }
        // One whose beginning is no longer in the oplog is not judged.
        let was_sold = known.get(write.id.as_str()).is_none_or(|it| *it == ReservationStatus::Sold);
        if write.checks_in && !was_sold {
            found.push(write.id.as_str());
        }
    }
    found
}
