//! Who may do what: relations, as in Zanzibar, and pure functions over them.
//!
//! A *ticket* has an owner (its seller); an *order* has an owner (its buyer) and a parent (its
//! ticket); a *payment* has an owner (its payer) and a parent (its order, and so the ticket). Members
//! of the group `admin` may do everything here.

use crate::auth::CurrentUser;
use crate::error::{Error, Result};
use crate::ids::UserId;

/// What someone wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    EditTicket,
    OrderTicket,
    ViewOrder,
    CancelOrder,
    Pay,
    ViewPayment,
    Refund,
}

/// Whom the thing belongs to. A ticket has only a seller; orders and payments have both.
#[derive(Clone, Copy, Debug)]
pub struct Owners {
    pub seller: UserId,
    pub buyer: Option<UserId>,
}

/// The one rule book.
pub fn may(user: &CurrentUser, action: Action, owners: Owners) -> bool {
    let seller = user.id == owners.seller;
    let buyer = owners.buyer == Some(user.id);
    match action {
        // Nobody sells to oneself, administrators neither.
        Action::OrderTicket => !seller,
        // Someone else's card is never charged on one's behalf.
        Action::Pay => buyer,
        Action::EditTicket | Action::Refund => seller || user.is_admin(),
        Action::CancelOrder => buyer || user.is_admin(),
        Action::ViewOrder | Action::ViewPayment => buyer || seller || user.is_admin(),
    }
}

/// [`may`], as a 403 for those who may not.
pub fn require(user: &CurrentUser, action: Action, owners: Owners) -> Result<()> {
    if may(user, action, owners) {
        return Ok(());
    }
    Err(match action {
        Action::OrderTicket => {
            Error::refused(&crate::error::problems::OWN_TICKET, "This ticket is your own.")
        }
        Action::EditTicket => Error::not_allowed("Only its seller may change a ticket."),
        Action::ViewOrder => Error::not_allowed("This order is someone else's."),
        Action::CancelOrder => Error::not_allowed("Only its buyer may cancel an order."),
        Action::Pay => Error::not_allowed("Only its buyer may pay an order."),
        Action::ViewPayment => Error::not_allowed("This payment is someone else's."),
        Action::Refund => Error::not_allowed("Only the ticket's seller may refund a payment."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::ids::SessionId;

    #[test]
    fn the_rules_are_these() {
        use Action::*;
        let now = Time::from_millis(0);
        let [seller, buyer, other] = [(); 3].map(|()| UserId::new(now));
        let owners = Owners { seller, buyer: Some(buyer) };
        let user = |id, groups: &[&str]| CurrentUser {
            id,
            session: SessionId::new(now),
            groups: groups.iter().map(ToString::to_string).collect(),
        };
        #[rustfmt::skip]
        let table = [
            // action      seller buyer  other  admin
            (EditTicket,  [true,  false, false, true]),
            (OrderTicket, [false, true,  true,  true]),
            (ViewOrder,   [true,  true,  false, true]),
            (CancelOrder, [false, true,  false, true]),
            (Pay,         [false, true,  false, false]),
            (ViewPayment, [true,  true,  false, true]),
            (Refund,      [true,  false, false, true]),
        ];
        for (action, expected) in table {
            let people =
                [user(seller, &[]), user(buyer, &[]), user(other, &[]), user(other, &["admin"])];
            let got = people.map(|user| may(&user, action, owners));
            assert_eq!(got, expected, "{action:?}");
        }
    }
}
