//! A listing of one, as replicas of the previous version change it: they keep the order that has the ticket on the ticket
//! itself, by its fencing number, and know no reservations. `docs/operating.md` says when this can be removed.

use common::Place;
use common::events::Order;

use super::{Reservation, ReservationStatus, Ticket};

impl Ticket {
    /// Whether a replica of the previous version has applied an order since this version has written the ticket.
    pub fn was_changed_by_previous_version(&self) -> bool {
        !self.has_many() && self.written_hold.unwrap_or((0, 0)) != (self.hold, self.hold_version)
    }

    /// What that order's reservation is, and which others it has replaced.
    pub fn adopt(&self, reservations: &[Reservation]) -> Vec<Reservation> {
        let replaced = reservations.iter().filter(|reservation| {
            Some(reservation.order_id) != self.order_id && reservation.hold <= self.hold
        });
        let mut adopted: Vec<Reservation> = replaced
            .map(|reservation| Reservation {
                version: reservation.version + 1,
                status: ReservationStatus::Ended,
                live: false,
                ..reservation.clone()
            })
            .collect();
        if let (Some(order_id), Some(buyer_id)) = (self.order_id, self.buyer_id) {
            let known = reservations.iter().find(|reservation| reservation.order_id == order_id);
            if known.is_none_or(|known| known.order_version < self.hold_version) {
                adopted.push(Reservation {
                    order_id,
                    version: known.map_or(1, |known| known.version + 1),
                    ticket_id: self.id,
                    buyer_id,
                    places: vec![Place::FIRST],
                    status: if self.sold {
                        ReservationStatus::Sold
                    } else {
                        ReservationStatus::Reserved
                    },
                    until: self.reserved_until.unwrap_or(self.created_at),
                    live: true,
                    order_version: self.hold_version,
                    hold: self.hold,
                    check_ins: known.map(|known| known.check_ins.clone()).unwrap_or_default(),
                });
            }
        }
        adopted
    }

    /// The newest order that was applied, by the order in which the previous version puts them.
    pub(super) fn newest_hold<'a>(
        &self,
        applied: Option<&Order>,
        reservations: impl IntoIterator<Item = &'a Reservation>,
    ) -> (i64, i64) {
        let known = reservations.into_iter().map(|one| (one.hold, one.order_version));
        let applied = applied.map(|order| (order.hold, order.version));
        known.chain(applied).fold((self.hold, self.hold_version), Ord::max)
    }
}
