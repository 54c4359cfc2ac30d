//! `order.refund_required`: what was paid can't be honoured and is to be given back, once.

use anyhow::{Context, anyhow};
use bus::Failure;
use common::events::OrderRefundRequired;

use crate::state::App;

pub async fn listen(
    app: App,
    OrderRefundRequired(refund): OrderRefundRequired,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let refunding = app.store.payments.change(refund.order_id, |payment| {
        // A database that was restored asks Stripe, and then knows.
        let change = payment.refund_required(&refund, now);
        change.with_context(|| format!("payment {}", refund.payment_id)).map_err(Failure::Transient)
    });
    if refunding.await?.is_none() {
        return Err(Failure::Transient(anyhow!("there is no order {}", refund.order_id)));
    }
    app.work.notify_one();
    Ok(())
}
