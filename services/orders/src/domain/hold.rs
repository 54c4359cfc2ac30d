//! Holds: the numbers that they get, and whether one who paid late gets another.

use common::events::{self, CancelReason, OrderStatus};

use super::{Order, Ticket};

/// Whether a ticket whose hold ran out can be had again by the one who paid late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retake {
    /// Nobody has it; this is the number of the new hold.
    Free {
        hold: i64,
    },
    Gone,
}

impl Order {
    /// The number of a ticket's next hold: one more than the greatest over all its orders, ended ones
    /// too, and than any that tickets has heard of: an order that a restored database has lost may have
    /// had that. Of all the orders, the one that has the greatest will do.
    pub fn next_hold<'a>(
        orders: impl IntoIterator<Item = &'a Order>,
        ticket: Option<&Ticket>,
    ) -> i64 {
        let holds = orders.into_iter().flat_map(|order| &order.holds);
        let heard_of = ticket.map_or(0, Ticket::last_hold);
        holds.copied().fold(heard_of, i64::max) + 1
    }

    /// Whether a charge that comes now is a late one, which the ticket's state decides on.
    pub fn would_retake(&self) -> bool {
        self.status == OrderStatus::Cancelled
            && self.cancel_reason == Some(CancelReason::Expired)
            && self.payment.as_ref().is_none_or(|seen| seen.answer.is_none() && !seen.refunded)
    }

    /// Whether an order that ended because its time ran out can have its ticket back, at the price that
    /// was paid: if no live order has it, and it is neither deleted nor dearer or cheaper by now.
    pub fn retake(
        &self,
        payment: &events::Payment,
        holder: Option<&Order>,
        ticket: Option<&Ticket>,
        next_hold: i64,
    ) -> Retake {
        let to_be_had = ticket.is_some_and(|ticket| {
            !ticket.deleted
                && ticket.listing.price == payment.amount
                && ticket.listing.currency == payment.currency
        });
        if self.would_retake() && holder.is_none() && to_be_had {
            Retake::Free { hold: next_hold }
        } else {
            Retake::Gone
        }
    }
}
