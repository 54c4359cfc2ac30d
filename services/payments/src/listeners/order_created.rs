//! `order.created`: an order that can be paid.

use bus::Failure;
use common::events::OrderCreated;

use crate::state::App;

pub async fn handle(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
