//! How many places of a listing are reserved, sold and withdrawn.

use std::collections::BTreeMap;

use common::{Place, Quantity, Time};
use serde::{Deserialize, Serialize};

use super::{Reservation, ReservationStatus};

/// A summary of the reservations of a listing. It is computed from them, and never decided on: orders decides who has
/// which place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub reserved: Quantity,
    pub sold: Quantity,
    /// Refunded, and not on sale again.
    pub withdrawn: Quantity,
    /// When the first of the reservations ends.
    pub next_release: Option<Time>,
    /// When the last of them ends.
    pub reserved_until: Option<Time>,
}

impl Summary {
    /// Counts distinct places: of two reservations of one place, the event that ends the older is on its way.
    pub fn of<'a>(reservations: impl IntoIterator<Item = &'a Reservation>) -> Summary {
        let mut places: BTreeMap<Place, (ReservationStatus, Time)> = BTreeMap::new();
        for reservation in reservations {
            let this = (reservation.status, reservation.until);
            for place in &reservation.places {
                let known = places.entry(*place).or_insert(this);
                *known = (*known).max(this);
            }
        }
        let mut summary = Summary::default();
        for (status, until) in places.into_values() {
            match status {
                ReservationStatus::Reserved => {
                    summary.reserved = summary.reserved.plus(Quantity::ONE);
                    let earliest = summary.next_release.map_or(until, |next| next.min(until));
                    summary.next_release = Some(earliest);
                    summary.reserved_until = summary.reserved_until.max(Some(until));
                }
                ReservationStatus::Sold => summary.sold = summary.sold.plus(Quantity::ONE),
                ReservationStatus::Withdrawn => {
                    summary.withdrawn = summary.withdrawn.plus(Quantity::ONE);
                }
                ReservationStatus::Ended | ReservationStatus::Unknown => {}
            }
        }
        summary
    }

    /// As a reader sees it at this time: once the last reservation has ended, nothing is reserved.
    pub fn at(&self, now: Time) -> Summary {
        if self.reserved_until.is_some_and(|end| end > now) {
            return self.clone();
        }
        let Summary { sold, withdrawn, .. } = *self;
        Summary { sold, withdrawn, ..Summary::default() }
    }

    /// Whether some of the reservations have ended by now and others haven't: only the reservations say how many.
    pub fn is_outdated(&self, now: Time) -> bool {
        self.next_release.is_some_and(|end| end <= now)
            && self.reserved_until.is_some_and(|end| end > now)
    }

    /// The places that nobody can order.
    pub fn taken(&self) -> Quantity {
        self.reserved.plus(self.gone())
    }

    /// The places that nobody will be able to order when the reservations have ended.
    pub fn gone(&self) -> Quantity {
        self.sold.plus(self.withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::events::OrderStatus;
    use testkit::fixtures::{self, OrderChanges as _, with_places};

    use super::*;

    fn start() -> Time {
        Time::from_millis(1_700_000_000_000)
    }

    fn reservation(status: OrderStatus, places: &[u16], seconds: u64) -> Reservation {
        let order = fixtures::order(&fixtures::ticket(start()), start())
            .with_status(status)
            .with_occupies(status.is_live())
            .with_expiry(start() + Duration::from_secs(seconds));
        Reservation::of(&with_places(order, places.iter().copied()))
    }

    #[test]
    fn distinct_places_are_counted_and_a_sold_one_isnt_reserved() {
        let reservations = [
            reservation(OrderStatus::Created, &[1, 2], 10),
            reservation(OrderStatus::AwaitingPayment, &[3], 20),
            reservation(OrderStatus::Complete, &[4, 5], 5),
            // It has ended in orders; the event is on its way.
            reservation(OrderStatus::Created, &[2, 5], 5),
            reservation(OrderStatus::Cancelled, &[6], 5),
        ];
        let summary = Summary::of(&reservations);
        let Summary { reserved, sold, withdrawn, .. } = summary;
        assert_eq!([reserved, sold, withdrawn].map(Quantity::get), [3, 2, 0]);
        let ends = [summary.next_release, summary.reserved_until];
        assert_eq!(ends, [10, 20].map(|seconds| Some(start() + Duration::from_secs(seconds))));
    }

    #[test]
    fn a_reservation_past_its_end_counts_as_free() {
        let reservations = [
            reservation(OrderStatus::Created, &[1, 2], 10),
            reservation(OrderStatus::Created, &[3], 20),
            reservation(OrderStatus::Complete, &[4], 5),
        ];
        let summary = Summary::of(&reservations);
        let at = |seconds| start() + Duration::from_secs(seconds);
        assert_eq!((summary.at(at(9)).taken().get(), summary.is_outdated(at(9))), (4, false));
        assert!(summary.is_outdated(at(10)));
        assert_eq!((summary.at(at(20)).taken().get(), summary.is_outdated(at(20))), (1, false));
    }
}
