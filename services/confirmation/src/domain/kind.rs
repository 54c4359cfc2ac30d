//! What a mail is about, and which of them an event of an order leads to.

use common::events::{CancelReason, Handover, HandoverState, LinkPurpose, Order, OrderStatus};
use common::ids::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// So often the delivery of one order may change with a mail about it: nobody can have us send without end.
const MAX_NOTIFIED_CHANGES: i64 = 20;

/// What a mail is about, which implies to whom it goes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailKind)]
pub enum Kind {
    /// To a new user, with the link that confirms the address.
    Welcome,
    /// To a user who has asked for another such link.
    Verification,
    /// To a user whose password is forgotten.
    Recovery,
    /// To the address that a user wants to have.
    EmailChange,
    /// To the one that they have: it is to be replaced.
    EmailChangeNotice,
    /// To a user whose password was changed.
    PasswordChanged,
    /// To the buyer: the order is complete.
    Paid,
    /// To the buyer: the reservation has expired, unpaid.
    Expired,
    /// To the buyer: the payment was refunded.
    Refunded,
    /// To the buyer: the payment came too late, and was released. Nothing was charged.
    Released,
    /// To the buyer: the seller has sent the ticket.
    TicketSent,
    /// To the buyer: the payment of a complete order turned out to be impossible, and the order has ended.
    PaymentFailed,
    /// To the seller: a ticket is sold.
    Sold,
    /// To the seller: the buyer has reported a problem with the ticket.
    ProblemReported,
    /// To the seller: its sale was refunded.
    SaleRefunded,
    /// To the seller: the bank of its buyer has taken the charge back.
    SaleDisputed,
    /// To the seller: the payment of a sale turned out to be impossible.
    SaleFailed,
    /// A value of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

impl Kind {
    /// As ids, the API and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Welcome => "welcome",
            Kind::Verification => "verification",
            Kind::Recovery => "recovery",
            Kind::EmailChange => "email_change",
            Kind::EmailChangeNotice => "email_change_notice",
            Kind::PasswordChanged => "password_changed",
            Kind::Paid => "paid",
            Kind::Expired => "expired",
            Kind::Refunded => "refunded",
            Kind::Released => "released",
            Kind::TicketSent => "ticket_sent",
            Kind::PaymentFailed => "payment_failed",
            Kind::Sold => "sold",
            Kind::ProblemReported => "problem_reported",
            Kind::SaleRefunded => "sale_refunded",
            Kind::SaleDisputed => "sale_disputed",
            Kind::SaleFailed => "sale_failed",
            Kind::Unknown => "unknown",
        }
    }

    /// The mails that an event with this state of an order leads to.
    pub fn about(order: &Order) -> Vec<Kind> {
        match (order.status, order.cancel_reason) {
            (OrderStatus::Complete, _) => {
                let delivery = order.handover.as_ref().and_then(Kind::about_delivery);
                [Kind::Paid, Kind::Sold].into_iter().chain(delivery).collect()
            }
            (OrderStatus::Cancelled, Some(CancelReason::Expired)) => vec![Kind::Expired],
            (OrderStatus::Cancelled, Some(CancelReason::Refunded)) => {
                vec![Kind::Refunded, Kind::SaleRefunded]
            }
            (OrderStatus::Cancelled, Some(CancelReason::Disputed)) => vec![Kind::SaleDisputed],
            // Both have a mail about the sale. (An order that was never complete: its buyer has seen each decline.)
            (OrderStatus::Cancelled, Some(CancelReason::PaymentFailed))
                if order.paid_at.is_some() =>
            {
                vec![Kind::PaymentFailed, Kind::SaleFailed]
            }
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
                Vec::new()
            }
        }
    }

    fn about_delivery(handover: &Handover) -> Option<Kind> {
        let kind = match handover.state {
            HandoverState::Sent => Kind::TicketSent,
            HandoverState::Problem => Kind::ProblemReported,
            HandoverState::Received | HandoverState::Unknown => return None,
        };
        (handover.changes <= MAX_NOTIFIED_CHANGES).then_some(kind)
    }

    /// The mails that a link which was issued leads to. (That of the sign-up is in the welcome.)
    pub fn about_link(purpose: LinkPurpose, at_sign_up: bool) -> &'static [Kind] {
        match purpose {
            LinkPurpose::Verification if at_sign_up => &[],
            LinkPurpose::Verification => &[Kind::Verification],
            LinkPurpose::Recovery => &[Kind::Recovery],
            LinkPurpose::EmailChange => &[Kind::EmailChange, Kind::EmailChangeNotice],
            // It is in each mail with a link that confirms the address.
            LinkPurpose::Disown | LinkPurpose::Unknown => &[],
        }
    }

    /// Which of several mails of its kind about an order it is.
    pub(super) fn number(self, order: &Order) -> Option<i64> {
        match self {
            Kind::TicketSent | Kind::ProblemReported => order.handover.map(|it| it.changes),
            Kind::Welcome
            | Kind::Verification
            | Kind::Recovery
            | Kind::EmailChange
            | Kind::EmailChangeNotice
            | Kind::PasswordChanged
            | Kind::Paid
            | Kind::Expired
            | Kind::Refunded
            | Kind::Released
            | Kind::PaymentFailed
            | Kind::Sold
            | Kind::SaleRefunded
            | Kind::SaleDisputed
            | Kind::SaleFailed
            | Kind::Unknown => None,
        }
    }

    /// To whom a mail about an order goes.
    pub fn addressee(self, order: &Order) -> UserId {
        match self {
            Kind::Sold
            | Kind::ProblemReported
            | Kind::SaleRefunded
            | Kind::SaleDisputed
            | Kind::SaleFailed => order.ticket.user_id,
            Kind::Welcome
            | Kind::Verification
            | Kind::Recovery
            | Kind::EmailChange
            | Kind::EmailChangeNotice
            | Kind::PasswordChanged
            | Kind::Paid
            | Kind::Expired
            | Kind::Refunded
            | Kind::Released
            | Kind::TicketSent
            | Kind::PaymentFailed
            | Kind::Unknown => order.user_id,
        }
    }

    /// Whether it would be untrue by now: orders has decided otherwise since. A late payment completes an expired order; a
    /// ticket is of no use after a refund; a problem is solved.
    pub fn is_outdated(self, now: &Order) -> bool {
        match self {
            Kind::Expired => now.cancel_reason != Some(CancelReason::Expired),
            Kind::TicketSent => now.status != OrderStatus::Complete,
            Kind::ProblemReported => {
                let is_solved = |handover: Handover| handover.state == HandoverState::Received;
                now.status != OrderStatus::Complete || now.handover.is_some_and(is_solved)
            }
            Kind::Welcome
            | Kind::Verification
            | Kind::Recovery
            | Kind::EmailChange
            | Kind::EmailChangeNotice
            | Kind::PasswordChanged
            | Kind::Paid
            | Kind::Refunded
            | Kind::Released
            | Kind::PaymentFailed
            | Kind::Sold
            | Kind::SaleRefunded
            | Kind::SaleDisputed
            | Kind::SaleFailed
            | Kind::Unknown => false,
        }
    }
}
