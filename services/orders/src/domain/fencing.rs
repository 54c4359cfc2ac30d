//! Fencing numbers of reservations, and whether a buyer who paid late gets the ticket again under a new one.

use common::events::{self, CancelReason, OrderStatus};

use super::{Order, TicketReplica};

/// Whether a buyer who paid after the reservation expired can have the ticket again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retake {
    /// The ticket is available.
    Free {
        /// The fencing number of the new reservation.
        hold: i64,
    },
    /// The ticket is not available any more.
    Gone,
}

impl Order {
    /// The fencing number of a ticket's next reservation: one more than the greatest over all its orders, ended ones
    /// included, and than any that tickets has published: an order that is missing after a restore may have had that
    /// one. Of the orders, the one with the greatest number is enough.
    pub fn next_hold<'a>(
        orders: impl IntoIterator<Item = &'a Order>,
        ticket: Option<&TicketReplica>,
    ) -> i64 {
        let holds = orders.into_iter().flat_map(|order| &order.holds);
        let published = ticket.map_or(0, TicketReplica::last_hold);
        holds.copied().fold(published, i64::max) + 1
    }

    /// Whether a charge that succeeds now is late, so that the ticket's state decides what happens.
    pub fn would_retake(&self) -> bool {
        self.status == OrderStatus::Cancelled
            && self.cancel_reason == Some(CancelReason::Expired)
            && self.payment.as_ref().is_none_or(|seen| seen.answer.is_none() && !seen.refunded)
    }

    /// Whether an expired order can have its ticket back at the price that was paid: if no other order is live, and the
    /// listing neither was deleted nor has another price by now.
    pub fn retake(
        &self,
        payment: &events::Payment,
        holder: Option<&Order>,
        ticket: Option<&TicketReplica>,
        next_hold: i64,
    ) -> Retake {
        let available = ticket.is_some_and(|ticket| {
            !ticket.deleted
                && ticket.listing.price == payment.amount
                && ticket.listing.currency == payment.currency
        });
        if self.would_retake() && holder.is_none() && available {
            Retake::Free { hold: next_hold }
        } else {
            Retake::Gone
        }
    }
}
