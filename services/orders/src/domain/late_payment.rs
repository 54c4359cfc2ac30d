//! Whether a buyer who paid after the reservation expired gets places again.

use std::collections::BTreeSet;

use common::Place;
use common::events::{self, CancelReason, OrderStatus};
use rand::Rng;

use super::{Order, TicketReplica, choose_places};

/// Whether a buyer who paid after the reservation expired can have as many places again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retake {
    /// As many are available.
    Free {
        /// Those that the order takes.
        places: Vec<Place>,
    },
    /// Not enough are available any more.
    Gone,
}

impl Order {
    /// Whether this payment is late, so that the listing's state decides what happens.
    pub fn would_retake(&self, payment: &events::Payment) -> bool {
        self.status == OrderStatus::Cancelled
            && self.cancel_reason == Some(CancelReason::Expired)
            && self.is_to_be_answered(payment)
    }

    /// Whether the listing still is what an expired order was placed for and paid: neither deleted, nor closed, nor
    /// another event or price.
    pub fn is_still_offered(&self, payment: &events::Payment, ticket: &TicketReplica) -> bool {
        !ticket.deleted
            && !ticket.listing.closed
            && ticket.listing.offers_the_same(&self.ticket.listing)
            && self.total == payment.amount
            && self.ticket.listing.currency == payment.currency
    }

    /// The places that an expired order can have again: any that are free.
    pub fn retake(
        &self,
        ticket: &TicketReplica,
        taken: &BTreeSet<Place>,
        random: &mut impl Rng,
    ) -> Retake {
        match choose_places(ticket.listing.quantity, taken, self.quantity, random) {
            Some(places) => Retake::Free { places },
            None => Retake::Gone,
        }
    }
}
