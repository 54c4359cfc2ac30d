//! `order.completed`: the ticket is sold, and its reservation no longer expires.

use bus::Failure;
use common::events::OrderCompleted;

use super::follow;
use crate::state::App;

pub async fn handle(app: App, OrderCompleted(order): OrderCompleted) -> Result<(), Failure> {
    follow(&app, &order).await
}
