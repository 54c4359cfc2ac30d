//! One endpoint per file.

pub mod create;
mod errors;
pub mod history;
pub mod list;
pub mod refresh;
pub mod refund;
pub mod show;
pub mod webhook;

use common::events::Stream;
use common::ids::{Id, OrderId, PaymentId};
use common::permissions::Action;
use httpkit::{CurrentUser, Error, Result};
use store::read_your_writes;

use crate::domain::OrderPayment;
use crate::state::App;

/// The payment of the path, for those who may do this with it.
async fn payment_for(
    app: &App,
    user: &CurrentUser,
    action: Action,
    id: PaymentId,
) -> Result<OrderPayment> {
    let found = app.store.find_by_payment(id).await?;
    let payment = found.ok_or_else(|| Error::not_found(PaymentId::NAMES))?;
    user.require(action, payment.owners())?;
    Ok(payment)
}

/// The payment of the order that a body or a query names. An order that its buyer has just created may not have reached
/// payments yet, and is waited for.
async fn find_order(app: &App, id: &str) -> Result<OrderPayment> {
    let missing = || Error::not_found(OrderId::NAMES);
    let id: OrderId = id.parse().map_err(|_| missing())?;
    let behind = || app.consumers.is_behind(Stream::Orders, app.clock.now());
    let find = async || app.store.find(id).await;
    let found = read_your_writes(id.created_at(), app.clock.now(), behind, find).await?;
    found.ok_or_else(missing)
}
