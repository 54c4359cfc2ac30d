//! One event per file. Each listener has the same outcome when its event is delivered twice, late, or out of order: a mail's
//! id follows from what it is about, and replicas go by versions.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;
pub mod order_updated;
pub mod payment_refunded;
pub mod payment_released;
pub mod user_created;
pub mod user_updated;

use bus::Failure;
use common::events::{Order, User};

use crate::domain::{Kind, Mail, OrderReplica, UserReplica, is_of_our_time};
use crate::state::App;

/// First the mails, then the replica: a crash in between is repaired by the redelivery.
async fn follow_order(app: &App, order: &Order) -> Result<(), Failure> {
    if is_of_our_time(order.id.created_at(), app.began_at) {
        for kind in Kind::about(order) {
            app.store.write(&Mail::about(order, kind, app.clock.now())).await?;
        }
    }
    app.store.apply_order(&OrderReplica::of(order)).await?;
    app.wake_worker.notify_one();
    Ok(())
}

/// Several orders at once: all mails by one write, then all replicas.
pub async fn follow_orders(app: App, orders: Vec<Order>) -> Result<(), Failure> {
    let now = app.clock.now();
    let of_our_time =
        orders.iter().filter(|order| is_of_our_time(order.id.created_at(), app.began_at));
    let mails = of_our_time.flat_map(|order| {
        Kind::about(order).into_iter().map(move |kind| Mail::about(order, kind, now))
    });
    app.store.write_all(mails.collect()).await?;
    let replicas: Vec<OrderReplica> = orders.iter().map(OrderReplica::of).collect();
    app.store.apply_orders(&replicas).await?;
    app.wake_worker.notify_one();
    Ok(())
}

/// First the newest state of the user, by which a mail is sent or not; then the mails about the account, and those that wait for the
/// address. One that is written in between finds it. A late event leads to its mails, too: what is untrue by then isn't sent.
async fn follow_user(app: &App, user: &User) -> Result<(), Failure> {
    app.store.apply_user(&UserReplica::of(user)).await?;
    app.store.write_all(Mail::about_account(user, app.began_at, app.clock.now())).await?;
    for mail in app.store.awaiting(user.id).await? {
        app.store.record(&mail, |mail| mail.address_known(app.clock.now())).await?;
    }
    app.wake_worker.notify_one();
    Ok(())
}
