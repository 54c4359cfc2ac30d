//! `order.created`. A buyer holds a ticket: it is locked until the hold runs out.

use bus::Failure;
use common::events::OrderCreated;

use super::follow;
use crate::state::App;

pub async fn order_created(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    follow(&app, &order).await
}
