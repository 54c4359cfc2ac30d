//! One event per file. Listeners never call Stripe: they record what is to be done, and the background worker does it.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;
pub mod order_refund_required;
pub mod order_updated;

use bus::Failure;
use common::events::Order;

use crate::state::App;

/// The events of an order contain its whole state; the newest version wins.
async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    let payment = app.store.follow(order, app.limits, app.clock.now()).await?;
    if payment.next_run_at.is_some() {
        app.wake_worker.notify_one();
    }
    Ok(())
}
