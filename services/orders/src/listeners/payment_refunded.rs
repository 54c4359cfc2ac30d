//! `payment.refunded`: the order ends, and its ticket is available again.

use bus::Failure;
use common::events::PaymentRefunded;

use crate::domain::Order;
use crate::state::App;

pub async fn handle(app: App, PaymentRefunded(refund): PaymentRefunded) -> Result<(), Failure> {
    let mut is_known = false;
    let record = |order: &Order| {
        let change = order.refunded(&refund);
        is_known = change.is_none();
        change
    };
    let order = app.store.update(refund.order_id, record).await?;
    // Reminded of a refund: that the order has ended was lost on its way.
    if let Some(order) = order.filter(|_| is_known && refund.reminder) {
        app.store.documents().answer_again(&order).await?;
    }
    Ok(())
}
