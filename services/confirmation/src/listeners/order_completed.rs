//! `order.completed`: the ticket is paid and sold.

use bus::Failure;
use common::events::OrderCompleted;

use super::follow_order;
use crate::state::App;

pub async fn handle(app: App, OrderCompleted(order): OrderCompleted) -> Result<(), Failure> {
    follow_order(&app, &order).await
}
