//! `order.cancelled`. An order has ended without a sale: its ticket is free again, unless another order has it.

use bus::Failure;
use common::events::OrderCancelled;

use super::follow;
use crate::state::App;

pub async fn order_cancelled(
    app: App,
    OrderCancelled(order): OrderCancelled,
) -> Result<(), Failure> {
    follow(&app, &order).await
}
