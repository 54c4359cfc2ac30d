//! Who may do what: relations, as in Zanzibar, and pure functions over them. All services apply the same rules.
//!
//! A *ticket* has an owner (its seller); an *order* has an owner (its buyer) and a parent (its ticket); a *payment*
//! has an owner (its payer) and a parent (its order, and so the ticket). Members of the group `admin` may do
//! everything here, unless a rule says otherwise.
//!
//! A program that acts for a user may do what the user may and its scopes allow: never more. It is no administrator.

use crate::ids::UserId;
use crate::problem::{self, Problem};
use crate::scopes::{Scope, Scopes};

/// What someone wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Change or remove a listing.
    EditTicket,
    /// Let people in at the door of a listing. (So may the people whom its seller has invited: tickets knows them.)
    CheckIn,
    /// Say who else stands at that door.
    ManageDoor,
    /// See the codes that open the door for an order.
    ViewAdmissions,
    /// Reserve a ticket.
    OrderTicket,
    /// Read an order.
    ViewOrder,
    /// Read which mails an order's buyer was sent.
    BuyerMails,
    /// Have an order's confirmation sent again.
    ResendConfirmation,
    /// Say that a sold ticket was sent to its buyer.
    SendTicket,
    /// Say that a ticket has arrived, or what is wrong with it.
    ReportDelivery,
    /// Read which orders' buyers have reported a problem.
    ReviewProblems,
    /// Give up a reservation.
    CancelOrder,
    /// Pay an order.
    Pay,
    /// Read a payment.
    ViewPayment,
    /// Refund a payment.
    Refund,
    /// Find users, and read what administrators have done.
    ViewUsers,
    /// Ban a user, lift that, and say to which groups they belong.
    ModerateUser,
}

/// Who wants to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub id: UserId,
    /// Whether they belong to the group `admin`.
    pub is_admin: bool,
    /// Of a program with a token of the user's: what that is for. None: the user themselves.
    pub scopes: Option<Scopes>,
}

/// To whom the object belongs. A ticket has only a seller; orders and payments have both.
#[derive(Clone, Copy, Debug)]
pub struct Owners {
    /// Owner of the ticket; of an account, its user.
    pub seller: UserId,
    /// Owner of the order and its payment.
    pub buyer: Option<UserId>,
}

/// The rules.
pub fn may(user: Principal, action: Action, owners: Owners) -> bool {
    let seller = user.id == owners.seller;
    let buyer = owners.buyer == Some(user.id);
    let is_in_scope = |scopes: Scopes| action.scope().is_some_and(|it| scopes.contains(it));
    if !user.scopes.is_none_or(is_in_scope) {
        return false;
    }
    match action {
        // Nobody buys their own ticket, administrators included.
        Action::OrderTicket => !seller,
        // Nobody pays with somebody else's card.
        Action::Pay => buyer,
        Action::ReviewProblems | Action::ViewUsers => user.is_admin,
        // Nobody locks themselves out.
        Action::ModerateUser => user.is_admin && !seller,
        Action::EditTicket
        | Action::CheckIn
        | Action::ManageDoor
        | Action::Refund
        | Action::SendTicket => seller || user.is_admin,
        Action::ViewAdmissions
        | Action::BuyerMails
        | Action::ResendConfirmation
        | Action::CancelOrder
        | Action::ReportDelivery => buyer || user.is_admin,
        Action::ViewOrder | Action::ViewPayment => buyer || seller || user.is_admin,
    }
}

impl Action {
    /// What a token must be for, so that a program may do this for a user who may; none if no program may.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Action::EditTicket | Action::ManageDoor => Some(Scope::TicketsWrite),
            Action::CheckIn => Some(Scope::CheckIn),
            Action::ViewAdmissions | Action::ViewOrder | Action::BuyerMails => {
                Some(Scope::OrdersRead)
            }
            Action::OrderTicket
            | Action::SendTicket
            | Action::ReportDelivery
            | Action::ResendConfirmation
            | Action::CancelOrder => Some(Scope::OrdersWrite),
            Action::ViewPayment => Some(Scope::PaymentsRead),
            Action::Pay | Action::Refund => Some(Scope::PaymentsWrite),
            Action::ReviewProblems | Action::ViewUsers | Action::ModerateUser => None,
        }
    }

    /// What the API responds with when the rules don't allow it.
    pub fn refusal(self) -> (&'static Problem, &'static str) {
        match self {
            Action::OrderTicket => (&problem::OWN_TICKET, "This ticket is your own."),
            Action::EditTicket => (&problem::NOT_ALLOWED, "Only its seller can change a listing."),
            Action::CheckIn => {
                (&problem::NOT_ALLOWED, "Only its seller and their door staff check tickets in.")
            }
            Action::ManageDoor => {
                (&problem::NOT_ALLOWED, "Only its seller says who stands at the door.")
            }
            Action::ViewAdmissions => {
                (&problem::NOT_ALLOWED, "Only its buyer sees the codes of an order.")
            }
            Action::ViewOrder => (&problem::NOT_ALLOWED, "This order belongs to another account."),
            Action::BuyerMails | Action::ResendConfirmation => {
                (&problem::NOT_ALLOWED, "These mails were sent to another account.")
            }
            Action::SendTicket => {
                (&problem::NOT_ALLOWED, "Only the ticket's seller can say that it was sent.")
            }
            Action::ReportDelivery => {
                (&problem::NOT_ALLOWED, "Only its buyer can say whether a ticket has arrived.")
            }
            Action::ReviewProblems => {
                (&problem::NOT_ALLOWED, "Only administrators see all reported problems.")
            }
            Action::CancelOrder => (&problem::NOT_ALLOWED, "Only its buyer can cancel an order."),
            Action::Pay => (&problem::NOT_ALLOWED, "Only its buyer can pay an order."),
            Action::ViewPayment => {
                (&problem::NOT_ALLOWED, "This payment belongs to another account.")
            }
            Action::Refund => {
                (&problem::NOT_ALLOWED, "Only the ticket's seller can refund a payment.")
            }
            Action::ViewUsers => (&problem::NOT_ALLOWED, "Only administrators see other users."),
            Action::ModerateUser => {
                (&problem::NOT_ALLOWED, "Only another administrator can change this account.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    #[test]
    fn the_rules_are_these() {
        use Action::*;
        let now = Time::from_millis(0);
        let [seller, buyer, other] = [(); 3].map(|()| UserId::new(now));
        let owners = Owners { seller, buyer: Some(buyer) };
        let user = |id, is_admin| Principal { id, is_admin, scopes: None };
        #[rustfmt::skip]
        let table = [
            // action      seller buyer  other  admin
            (EditTicket,  [true,  false, false, true]),
            (CheckIn,     [true,  false, false, true]),
            (ManageDoor,  [true,  false, false, true]),
            (ViewAdmissions, [false, true, false, true]),
            (OrderTicket, [false, true,  true,  true]),
            (ViewOrder,   [true,  true,  false, true]),
            (BuyerMails,  [false, true,  false, true]),
            (ResendConfirmation, [false, true, false, true]),
            (SendTicket,  [true,  false, false, true]),
            (ReportDelivery, [false, true, false, true]),
            (ReviewProblems, [false, false, false, true]),
            (CancelOrder, [false, true,  false, true]),
            (Pay,         [false, true,  false, false]),
            (ViewPayment, [true,  true,  false, true]),
            (Refund,      [true,  false, false, true]),
            (ViewUsers,   [false, false, false, true]),
            (ModerateUser, [false, false, false, true]),
        ];
        for (action, expected) in table {
            let users =
                [user(seller, false), user(buyer, false), user(other, false), user(other, true)];
            let got = users.map(|user| may(user, action, owners));
            assert_eq!(got, expected, "{action:?}");
        }
        // Of their own account, listing, order and payment an administrator may do this.
        #[rustfmt::skip]
        let own = [
            (OrderTicket, false), (Pay, true), (ModerateUser, false), (ViewUsers, true),
            (EditTicket, true), (CancelOrder, true), (Refund, true), (ReviewProblems, true),
        ];
        let of_admin = Owners { seller: other, buyer: Some(other) };
        for (action, expected) in own {
            assert_eq!(may(user(other, true), action, of_admin), expected, "{action:?}");
        }
    }

    /// Of each action, the one scope with which a program may do for somebody what they may; with any other it may not, nor with
    /// this one what they may not.
    #[test]
    fn a_program_may_do_what_its_user_may_and_its_scope_allows() {
        use Action::*;
        let now = Time::from_millis(0);
        let [seller, buyer, other] = [(); 3].map(|()| UserId::new(now));
        let owners = Owners { seller, buyer: Some(buyer) };
        #[rustfmt::skip]
        let table = [
            (EditTicket, Some(Scope::TicketsWrite)),
            (CheckIn, Some(Scope::CheckIn)),
            (ManageDoor, Some(Scope::TicketsWrite)),
            (ViewAdmissions, Some(Scope::OrdersRead)),
            (OrderTicket, Some(Scope::OrdersWrite)),
            (ViewOrder, Some(Scope::OrdersRead)),
            (BuyerMails, Some(Scope::OrdersRead)),
            (ResendConfirmation, Some(Scope::OrdersWrite)),
            (SendTicket, Some(Scope::OrdersWrite)),
            (ReportDelivery, Some(Scope::OrdersWrite)),
            (ReviewProblems, None),
            (CancelOrder, Some(Scope::OrdersWrite)),
            (Pay, Some(Scope::PaymentsWrite)),
            (ViewPayment, Some(Scope::PaymentsRead)),
            (Refund, Some(Scope::PaymentsWrite)),
            (ViewUsers, None),
            (ModerateUser, None),
        ];
        for (action, expected) in table {
            for id in [seller, buyer, other] {
                for is_admin in [false, true] {
                    let themselves = Principal { id, is_admin, scopes: None };
                    let allowed = may(themselves, action, owners);
                    for scope in Scope::ALL {
                        let program =
                            |scopes: Scopes| Principal { scopes: Some(scopes), ..themselves };
                        let only = program([scope].into_iter().collect());
                        let got = may(only, action, owners);
                        assert_eq!(got, allowed && expected == Some(scope), "{action:?} {scope}");
                        let others = Scope::ALL.into_iter().filter(|other| *other != scope);
                        let got = may(program(others.collect()), action, owners);
                        let is_allowed = expected.is_some() && expected != Some(scope);
                        assert_eq!(got, allowed && is_allowed, "{action:?} without {scope}");
                    }
                    assert!(!may(
                        Principal { scopes: Some(Scopes::default()), ..themselves },
                        action,
                        owners
                    ));
                }
            }
        }
    }

    #[test]
    fn a_request_needs_one_scope_by_its_route_and_what_is_the_user_s_alone_has_none() {
        #[rustfmt::skip]
        let table = [
            ("/api/tickets", Some(Scope::TicketsRead), Some(Scope::TicketsWrite)),
            ("/api/tickets/{id}", Some(Scope::TicketsRead), Some(Scope::TicketsWrite)),
            ("/api/tickets/{id}/checkin", Some(Scope::CheckIn), Some(Scope::CheckIn)),
            ("/api/tickets/{id}/door", Some(Scope::CheckIn), Some(Scope::TicketsWrite)),
            ("/api/tickets/{id}/door/invitation", Some(Scope::TicketsRead), Some(Scope::TicketsWrite)),
            ("/api/orders", Some(Scope::OrdersRead), Some(Scope::OrdersWrite)),
            ("/api/orders/{id}/admissions", Some(Scope::OrdersRead), Some(Scope::OrdersWrite)),
            ("/api/orders/{id}/resend-confirmation", Some(Scope::OrdersRead), Some(Scope::OrdersWrite)),
            ("/api/payments/{id}/refund", Some(Scope::PaymentsRead), Some(Scope::PaymentsWrite)),
            ("/api/users", None, None),
            ("/api/users/tokens", None, None),
            ("/api/ticketsellers", None, None),
            ("/orders", None, None),
            ("unmatched", None, None),
        ];
        for (route, read, write) in table {
            assert_eq!(Scope::of_request(true, route), read, "GET {route}");
            assert_eq!(Scope::of_request(false, route), write, "POST {route}");
        }
    }
}
