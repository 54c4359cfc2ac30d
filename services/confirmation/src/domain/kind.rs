//! What a mail is about, and which of them an event of an order leads to.

use common::events::{CancelReason, Order, OrderStatus};
use common::ids::UserId;
use serde::{Deserialize, Serialize};

/// What a mail is about, which implies to whom it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// To a new user.
    Welcome,
    /// To the buyer: the order is complete.
    Paid,
    /// To the buyer: the reservation has expired, unpaid.
    Expired,
    /// To the buyer: the payment was refunded.
    Refunded,
    /// To the buyer: the payment came too late, and was released. Nothing was charged.
    Released,
    /// To the seller: a ticket is sold.
    Sold,
    /// To the seller: its sale was refunded.
    SaleRefunded,
    /// To the seller: the bank of its buyer has taken the charge back.
    SaleDisputed,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Kind {
    /// As ids, the API and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Welcome => "welcome",
            Kind::Paid => "paid",
            Kind::Expired => "expired",
            Kind::Refunded => "refunded",
            Kind::Released => "released",
            Kind::Sold => "sold",
            Kind::SaleRefunded => "sale_refunded",
            Kind::SaleDisputed => "sale_disputed",
            Kind::Unknown => "unknown",
        }
    }

    /// The mails that an event with this state of an order leads to.
    pub fn about(order: &Order) -> &'static [Kind] {
        match (order.status, order.cancel_reason) {
            (OrderStatus::Complete, _) => &[Kind::Paid, Kind::Sold],
            (OrderStatus::Cancelled, Some(CancelReason::Expired)) => &[Kind::Expired],
            (OrderStatus::Cancelled, Some(CancelReason::Refunded)) => {
                &[Kind::Refunded, Kind::SaleRefunded]
            }
            (OrderStatus::Cancelled, Some(CancelReason::Disputed)) => &[Kind::SaleDisputed],
            // The person who did it was there, or it says so on the order's page.
            (
                OrderStatus::Cancelled,
                Some(
                    CancelReason::User
                    | CancelReason::PaymentFailed
                    | CancelReason::TicketDeleted
                    | CancelReason::Banned
                    | CancelReason::Unknown,
                )
                | None,
            )
            | (OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Unknown, _) => {
                &[]
            }
        }
    }

    /// To whom a mail about an order goes.
    pub fn addressee(self, order: &Order) -> UserId {
        match self {
            Kind::Sold | Kind::SaleRefunded | Kind::SaleDisputed => order.ticket.user_id,
            Kind::Welcome
            | Kind::Paid
            | Kind::Expired
            | Kind::Refunded
            | Kind::Released
            | Kind::Unknown => order.user_id,
        }
    }

    /// Whether it would be untrue by now: orders has decided otherwise since. A late payment completes an expired order.
    pub fn is_outdated(self, now: &Order) -> bool {
        match self {
            Kind::Expired => now.cancel_reason != Some(CancelReason::Expired),
            Kind::Welcome
            | Kind::Paid
            | Kind::Refunded
            | Kind::Released
            | Kind::Sold
            | Kind::SaleRefunded
            | Kind::SaleDisputed
            | Kind::Unknown => false,
        }
    }
}
