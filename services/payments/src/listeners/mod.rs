//! One event a file. Listeners never call Stripe: they write what is to be done, and the worker does it.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;
pub mod order_refund_required;

use bus::Failure;
use common::events::Order;

use crate::state::App;

/// The three events of an order carry its whole state; newer wins.
async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    let payment = app.store.follow(order, app.attempts, app.clock.now()).await?;
    if payment.work_at.is_some() {
        app.work.notify_one();
    }
    Ok(())
}
