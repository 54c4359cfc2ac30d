//! `payment.refunded`: the buyer has their money back. Where the order was complete, `order.cancelled` says so too, and
//! leads to the same mail; where the payment came too late, only this event does.

use std::time::Duration;

use bus::Failure;
use common::events::PaymentRefunded;

use crate::domain::{Kind, Mail, is_of_our_time};
use crate::state::App;

/// The order's own events are on their way, in another stream.
const PAUSE: Duration = Duration::from_secs(1);

pub async fn handle(app: App, PaymentRefunded(refund): PaymentRefunded) -> Result<(), Failure> {
    if !is_of_our_time(refund.order_id.created_at(), app.began_at) {
        return Ok(());
    }
    let now = app.clock.now();
    let Some(known) = app.store.order(refund.order_id).await? else {
        return Err(Failure::RetryAt(now + PAUSE));
    };
    app.store.write(&Mail::about(&known.order, Kind::Refunded, now)).await?;
    app.wake_worker.notify_one();
    Ok(())
}
