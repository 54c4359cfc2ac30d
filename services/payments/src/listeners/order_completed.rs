//! `order.completed`: what is authorised is captured.

use bus::Failure;
use common::events::OrderCompleted;

use crate::state::App;

pub async fn handle(app: App, OrderCompleted(order): OrderCompleted) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
