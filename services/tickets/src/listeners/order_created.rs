//! `order.created`: a buyer has reserved the ticket, which can't be changed until the order ends.

use bus::Failure;
use common::events::OrderCreated;

use super::follow;
use crate::state::App;

pub async fn handle(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    follow(&app, &order).await
}
