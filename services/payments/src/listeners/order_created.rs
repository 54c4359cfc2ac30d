//! `order.created`: an order that can be paid.

use common::bus::Failure;
use common::events::OrderCreated;

use crate::app::App;

pub async fn listen(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
