//! `order.created`: a ticket is reserved, and its expiry is scheduled.

use bus::Failure;
use common::events::OrderCreated;

use super::follow;
use crate::state::App;

pub async fn handle(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    follow(&app, &order).await
}
