//! `order.cancelled`: the order has ended without a sale; the ticket is available, unless a newer order has it.

use bus::Failure;
use common::events::OrderCancelled;

use super::follow;
use crate::state::App;

pub async fn handle(app: App, OrderCancelled(order): OrderCancelled) -> Result<(), Failure> {
    follow(&app, &order).await
}
