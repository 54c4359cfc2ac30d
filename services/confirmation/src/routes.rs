//! One endpoint per file.

mod errors;
pub mod mails;
pub mod resend;

use common::events::Stream;
use common::ids::{Id as _, OrderId};
use common::permissions::Action;
use httpkit::{CurrentUser, Error, Result};
use store::read_your_writes;

use crate::domain::OrderReplica;
use crate::state::App;

/// The order of the path, for its buyer. One that was just placed may not have arrived here yet, and is waited for.
async fn order_of_buyer(
    app: &App,
    user: &CurrentUser,
    action: Action,
    id: OrderId,
) -> Result<OrderReplica> {
    let disconnected = || app.consumers.is_disconnected(Stream::Orders);
    let find = async || app.store.order(id).await;
    let found = read_your_writes(id.created_at(), app.clock.now(), disconnected, find).await?;
    let order = found.ok_or_else(|| Error::not_found(OrderId::NAMES))?;
    user.require(action, order.owners())?;
    Ok(order)
}
