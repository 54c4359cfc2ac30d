//! `order.updated`: among other changes, that orders has seen what became of the payment.

use bus::Failure;
use common::events::OrderUpdated;

use crate::state::App;

pub async fn handle(app: App, OrderUpdated(order): OrderUpdated) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
