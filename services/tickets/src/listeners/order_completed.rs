//! `order.completed`. A ticket is sold.

use common::bus::Failure;
use common::events::OrderCompleted;

use super::follow;
use crate::app::App;

pub async fn order_completed(
    app: App,
    OrderCompleted(order): OrderCompleted,
) -> Result<(), Failure> {
    follow(&app, &order).await
}
