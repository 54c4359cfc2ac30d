//! `order.created`: an order, which leads to no mail yet.

use bus::Failure;
use common::events::OrderCreated;

use super::follow_order;
use crate::state::App;

pub async fn handle(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    follow_order(&app, &order).await
}
