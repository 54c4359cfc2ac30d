//! One event per file. Listeners never call Stripe: they record what is to be done, and a
//! background task does it.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;
pub mod order_refund_required;
pub mod order_updated;

use bus::Failure;
use common::events::{self, Order};
use futures::future::join_all;
use tracing::Instrument;

use crate::domain::OrderPayment;
use crate::state::App;
use crate::worker;

/// The events of an order contain its whole state; the newest version wins. What follows is executed by this process, if it
/// isn't busy.
async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    follow_known(app, order, None).await
}

/// The same of an order whose payment was read.
async fn follow_known(
    app: &App,
    order: &Order,
    known: Option<&OrderPayment>,
) -> Result<(), Failure> {
    let permit = app.executions.try_acquire();
    let now = app.clock.now();
    let (payment, is_leased) =
        app.store.follow(order, known, permit.is_some(), app.limits, now).await?;
    match permit {
        Some(permit) if is_leased => {
            app.executions.spawn(permit, worker::execute(app.clone(), payment).in_current_span());
        }
        Some(_) | None if payment.next_run_at.is_some() => app.wake_worker.notify_one(),
        Some(_) | None => {}
    }
    Ok(())
}

/// Several orders at once. The new ones are stored by one write, and the others read by one command.
pub async fn follow_all(app: App, orders: Vec<Order>) -> Result<(), Failure> {
    let (new, mut known): (Vec<Order>, Vec<Order>) =
        orders.into_iter().partition(|order| order.version == 1);
    known.extend(app.store.insert_orders(new).await?);
    let known = events::newest(known);
    let payments = app.store.recent_or_stored(&known).await?;
    let follow = known.iter().map(|order| {
        let payment = payments.iter().find(|payment| payment.order_id == order.id);
        follow_known(&app, order, payment)
    });
    // Each to its end: a write that was begun is not dropped.
    join_all(follow).await.into_iter().collect()
}
