//! I2 and I3: every charge belongs to a complete order, or was refunded in full or lost in a dispute, to the cent; nothing
//! stays authorised; and no order was charged twice. By Stripe's ledger.

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
                let (charged, kept) = (account.charged(), account.kept());
                let ids = ids(account);
                violations.add(
                    Invariant::NoLostMoney,
                    format!("{charged} cents were charged ({ids}) without an order {order}; {kept} are kept"),
                );
            }
        }
    }
    for order in &index.snapshot.orders {
        let Order { id, quantity, ticket, .. } = order;
        let product = i64::try_from(*quantity).unwrap_or(i64::MAX).saturating_mul(ticket.price);
        if order.total != product {
            let (total, price) = (order.total, ticket.price);
            violations.add(
                Invariant::NoLostMoney,
                format!("order {id} of {quantity} at {price} cents has a total of {total} cents"),
            );
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
            PaymentStatus::Created | PaymentStatus::Failed | PaymentStatus::Released => {
                charged == 0
            }
            // A part may have been refunded in Stripe's dashboard.
            PaymentStatus::Completed => charged > 0 && refunded < charged,
            PaymentStatus::Refunded => charged > 0 && refunded == charged,
            PaymentStatus::ChargedBack => account.is_some_and(|account| account.charged_back() > 0),
            // Work is pending, although the stack is idle.
            PaymentStatus::Processing
            | PaymentStatus::ActionRequired
            | PaymentStatus::Authorised
            | PaymentStatus::Refunding => false,
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
    for intent in &account.open {
        violations
            .add(Invariant::NoLostMoney, format!("{intent} of order {order} is still authorised"));
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

/// A complete order keeps its total, less what was refunded of it in Stripe's dashboard; any other order nothing.
fn kept_amount_is_due(order: &Order, account: &Account<'_>, violations: &mut Violations) {
    let (Order { id, status, .. }, total) = (order, order.total);
    let kept = account.kept();
    let due = match status {
        OrderStatus::Complete if account.refunded() < total => total - account.refunded(),
        OrderStatus::Complete => total,
        OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Cancelled => 0,
    };
    if kept != due {
        let ids = ids(account);
        violations.add(
            Invariant::NoLostMoney,
            format!("order {id} is {status:?} and due {due} cents; {kept} are kept ({ids})"),
        );
    }
    for charge in account.charges.iter().filter(|charge| charge.amount != total) {
        let (amount, charge) = (charge.amount, &charge.id);
        violations.add(
            Invariant::NoLostMoney,
            format!("charge {charge} of order {id} is of {amount} cents; its total is {total}"),
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
    pub charged_back: i64,
    /// The total of all complete orders, less what was refunded of them.
    pub due: i64,
}

impl Totals {
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut totals = Totals::default();
        let index = Index::of(snapshot);
        for account in index.accounts.values() {
            totals.charges.add_assign(i64::try_from(account.charges.len()).unwrap_or(i64::MAX));
            totals.charged += account.charged();
            totals.refunded += account.refunded();
            totals.charged_back += account.charged_back();
        }
        let complete = snapshot.orders.iter().filter(|order| order.status == OrderStatus::Complete);
        for order in complete {
            let account = index.accounts.get(order.id.as_str());
            totals.due += order.total - account.map_or(0, Account::refunded);
        }
        totals
    }

    pub fn kept(&self) -> i64 {
        self.charged - self.refunded - self.charged_back
    }
}
