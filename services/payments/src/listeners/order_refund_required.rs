//! `order.refund_required`: the order can't be completed, so its payment is released or refunded, once.

use bus::Failure;
use common::events::OrderRefundRequired;

use crate::state::App;

pub async fn handle(
    app: App,
    OrderRefundRequired(required): OrderRefundRequired,
) -> Result<(), Failure> {
    app.store.require_refund(&required, app.limits, app.clock.now()).await?;
    app.wake_worker.notify_one();
    Ok(())
}
