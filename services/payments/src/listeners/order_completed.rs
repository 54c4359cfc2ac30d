//! `order.completed`: the order is paid.

use common::bus::Failure;
use common::events::OrderCompleted;

use crate::app::App;

pub async fn listen(app: App, OrderCompleted(order): OrderCompleted) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
