//! One endpoint per file, and the problems of the domain's refusals.

pub mod cancel;
pub mod create;
mod errors;
pub mod handover;
pub mod history;
pub mod list;
pub mod problems;
pub mod show;

use common::ids::OrderId;
use common::permissions::Action;
use httpkit::{CurrentUser, Error, Result};

use crate::domain::Order;
use crate::state::App;

/// The order of the path, for its parties.
async fn order_for(app: &App, user: &CurrentUser, id: OrderId) -> Result<Order> {
    let order = app.store.order(id).await?.ok_or_else(|| Error::not_found("order"))?;
    user.require(Action::ViewOrder, order.owners())?;
    Ok(order)
}
