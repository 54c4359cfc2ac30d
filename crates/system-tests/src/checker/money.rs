//! I2 and I3: every successful charge is a complete order's, or was given back in full, to the cent; and no
//! order was charged twice. The ledger is Stripe's.

use std::ops::AddAssign;

use super::facts::{Account, Facts};
use super::world::{Order, OrderStatus, PaymentStatus, World};
use super::{Breaches, Promise};

pub(super) fn check(facts: &Facts<'_>, breaches: &mut Breaches) {
    for (order, account) in &facts.accounts {
        account_is_settled(order, account, breaches);
        match facts.orders.get(order) {
            Some(order) => money_fits(order, account, breaches),
            None => {
                let (charged, kept) = (account.charged(), account.charged() - account.refunded());
                let ids = ids(account);
                breaches.add(
                    Promise::NoLostMoney,
                    format!("{charged} cents were charged ({ids}) without an order {order}; {kept} are kept"),
                );
            }
        }
    }
    for order in facts.world.orders.iter().filter(|order| order.status == OrderStatus::Complete) {
        if facts.accounts.get(order.id.as_str()).is_none_or(|account| account.charges.is_empty()) {
            let id = &order.id;
            breaches.add(
                Promise::NoLostMoney,
                format!("order {id} is complete, and nothing was charged"),
            );
        }
    }
    for payment in &facts.world.payments {
        let Some(charge) = &payment.charge else { continue };
        let account = facts.accounts.get(payment.order_id.as_str());
        let (charged, refunded) =
            account.map_or((0, 0), |account| (account.charged(), account.refunded()));
        let fits = match charge.status {
            PaymentStatus::Created | PaymentStatus::Failed => charged == 0,
            PaymentStatus::Completed => charged > 0 && refunded == 0,
            PaymentStatus::Refunded => charged > 0 && refunded == charged,
            // Something is still to be done; but the world is at rest.
            PaymentStatus::Processing | PaymentStatus::Refunding => false,
        };
        if !fits {
            let (id, order, status) = (&charge.id, &payment.order_id, charge.status);
            breaches.add(
                Promise::NoLostMoney,
                format!(
                    "payment {id} of order {order} is {status:?}; Stripe took {charged} cents and gave {refunded} back"
                ),
            );
        }
    }
}

fn account_is_settled(order: &str, account: &Account<'_>, breaches: &mut Breaches) {
    if account.charges.len() > 1 {
        let (count, ids) = (account.charges.len(), ids(account));
        breaches.add(
            Promise::NoDoubleCharge,
            format!("order {order} was charged {count} times ({ids})"),
        );
    }
    for refund in account.refunds.iter().filter(|refund| refund.status == "pending") {
        let id = &refund.id;
        breaches
            .add(Promise::NoLostMoney, format!("refund {id} of order {order} is still on its way"));
    }
    let (charged, refunded) = (account.charged(), account.refunded());
    if refunded > charged {
        breaches.add(
            Promise::NoLostMoney,
            format!("order {order} was charged {charged} cents, and {refunded} were given back"),
        );
    }
}

/// A complete order keeps its price, any other nothing.
fn money_fits(order: &Order, account: &Account<'_>, breaches: &mut Breaches) {
    let Order { id, status, ticket, .. } = order;
    let kept = account.charged() - account.refunded();
    let due = match status {
        OrderStatus::Complete => ticket.price,
        OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Cancelled => 0,
    };
    if kept != due {
        let ids = ids(account);
        breaches.add(
            Promise::NoLostMoney,
            format!("order {id} is {status:?} and due {due} cents; {kept} are kept ({ids})"),
        );
    }
    for charge in account.charges.iter().filter(|charge| charge.amount != ticket.price) {
        let (amount, charge, price) = (charge.amount, &charge.id, ticket.price);
        breaches.add(
            Promise::NoLostMoney,
            format!("charge {charge} of order {id} took {amount} cents; the price was {price}"),
        );
    }
}

fn ids(account: &Account<'_>) -> String {
    account.charges.iter().map(|charge| charge.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// All the money that moved, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub charges: i64,
    pub charged: i64,
    pub refunded: i64,
    /// What complete orders cost.
    pub due: i64,
}

impl Totals {
    pub fn of(world: &World) -> Self {
        let mut totals = Totals::default();
        for account in Facts::of(world).accounts.values() {
            totals.charges.add_assign(i64::try_from(account.charges.len()).unwrap_or(i64::MAX));
            totals.charged += account.charged();
            totals.refunded += account.refunded();
        }
        let complete = world.orders.iter().filter(|order| order.status == OrderStatus::Complete);
        totals.due = complete.map(|order| order.ticket.price).sum();
        totals
    }

    pub fn kept(&self) -> i64 {
        self.charged - self.refunded
    }
}
