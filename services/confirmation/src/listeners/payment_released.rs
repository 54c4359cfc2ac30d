//! `payment.released`: nothing was charged. If the order hadn't ended, `order.cancelled` says that it is refunded, and leads to
//! that mail; where the payment came too late, only this event tells the buyer.

use std::time::Duration;

use bus::Failure;
use common::events::{CancelReason, OrderStatus, PaymentReleased};

use crate::domain::{Kind, Mail, is_of_our_time};
use crate::state::App;

/// The order's own events are on their way, in another stream.
const PAUSE: Duration = Duration::from_secs(1);

pub async fn handle(app: App, PaymentReleased(released): PaymentReleased) -> Result<(), Failure> {
    if !is_of_our_time(released.order_id.created_at(), app.began_at) {
        return Ok(());
    }
    let now = app.clock.now();
    let known = app.store.order(released.order_id).await?;
    let Some(ended) = known.filter(|known| known.order.status == OrderStatus::Cancelled) else {
        return Err(Failure::RetryAt(now + PAUSE));
    };
    if ended.order.cancel_reason != Some(CancelReason::Refunded) {
        app.store.write(&Mail::about(&ended.order, Kind::Released, now)).await?;
        app.wake_worker.notify_one();
    }
    Ok(())
}
