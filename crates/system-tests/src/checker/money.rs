//! I2 and I3: every successful charge belongs to a complete order or was refunded in full, to the cent; and no order was
//! charged twice. By Stripe's ledger.

use std::ops::AddAssign;

use super::index::{Account, Index};
use super::snapshot::{Order, OrderStatus, PaymentStatus, Snapshot};
use super::violations::{Invariant, Violations};

pub(super) fn check(index: &Index<'_>, violations: &mut Violations) {
    for (order, account) in &index.accounts {
        account_is_consistent(order, account, violations);
        match index.orders.get(order) {
            Some(order) => kept_amount_is_due(order, account, violations),
            None => {
                let (charged, kept) = (account.charged(), account.charged() - account.refunded());
                let ids = ids(account);
                violations.add(
                    Invariant::NoLostMoney,
                    format!("{charged} cents were charged ({ids}) without an order {order}; {kept} are kept"),
                );
            }
        }
    }
    for order in index.snapshot.orders.iter().filter(|order| order.status == OrderStatus::Complete)
    {
        if index.accounts.get(order.id.as_str()).is_none_or(|account| account.charges.is_empty()) {
            let id = &order.id;
            violations.add(
                Invariant::NoLostMoney,
                format!("order {id} is complete, and nothing was charged"),
            );
        }
    }
    for payment in &index.snapshot.payments {
        let Some(state) = &payment.state else { continue };
        let account = index.accounts.get(payment.order_id.as_str());
        let (charged, refunded) =
            account.map_or((0, 0), |account| (account.charged(), account.refunded()));
        let is_consistent = match state.status {
            PaymentStatus::Created | PaymentStatus::Failed => charged == 0,
            PaymentStatus::Completed => charged > 0 && refunded == 0,
            PaymentStatus::Refunded => charged > 0 && refunded == charged,
            // Work is pending, although the stack is idle.
            PaymentStatus::Processing | PaymentStatus::Refunding => false,
        };
        if !is_consistent {
            let (id, order, status) = (&state.id, &payment.order_id, state.status);
            violations.add(
                Invariant::NoLostMoney,
                format!(
                    "payment {id} of order {order} is {status:?}; Stripe charged {charged} cents and refunded {refunded}"
                ),
            );
        }
    }
}

fn account_is_consistent(order: &str, account: &Account<'_>, violations: &mut Violations) {
    if account.charges.len() > 1 {
        let (count, ids) = (account.charges.len(), ids(account));
        violations.add(
            Invariant::NoDoubleCharge,
            format!("order {order} was charged {count} times ({ids})"),
        );
    }
    for refund in account.refunds.iter().filter(|refund| refund.status == "pending") {
        let id = &refund.id;
        violations
            .add(Invariant::NoLostMoney, format!("refund {id} of order {order} is still pending"));
    }
    let (charged, refunded) = (account.charged(), account.refunded());
    if refunded > charged {
        violations.add(
            Invariant::NoLostMoney,
            format!("order {order} was charged {charged} cents, and {refunded} were refunded"),
        );
    }
}

/// A complete order keeps its price, any other order nothing.
fn kept_amount_is_due(order: &Order, account: &Account<'_>, violations: &mut Violations) {
    let Order { id, status, ticket, .. } = order;
    let kept = account.charged() - account.refunded();
    let due = match status {
        OrderStatus::Complete => ticket.price,
        OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Cancelled => 0,
    };
    if kept != due {
        let ids = ids(account);
        violations.add(
            Invariant::NoLostMoney,
            format!("order {id} is {status:?} and due {due} cents; {kept} are kept ({ids})"),
        );
    }
    for charge in account.charges.iter().filter(|charge| charge.amount != ticket.price) {
        let (amount, charge, price) = (charge.amount, &charge.id, ticket.price);
        violations.add(
            Invariant::NoLostMoney,
            format!("charge {charge} of order {id} is of {amount} cents; the price was {price}"),
        );
    }
}

fn ids(account: &Account<'_>) -> String {
    account.charges.iter().map(|charge| charge.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// All money that moved, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub charges: i64,
    pub charged: i64,
    pub refunded: i64,
    /// The price of all complete orders.
    pub due: i64,
}

impl Totals {
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut totals = Totals::default();
        for account in Index::of(snapshot).accounts.values() {
            totals.charges.add_assign(i64::try_from(account.charges.len()).unwrap_or(i64::MAX));
            totals.charged += account.charged();
            totals.refunded += account.refunded();
        }
        let complete = snapshot.orders.iter().filter(|order| order.status == OrderStatus::Complete);
        totals.due = complete.map(|order| order.ticket.price).sum();
        totals
    }

    pub fn kept(&self) -> i64 {
        self.charged - self.refunded
    }
}
