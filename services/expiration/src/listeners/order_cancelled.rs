//! `order.cancelled`: the reservation has ended, or the sale was refunded; an `order.created` that arrives later
//! schedules nothing.

use bus::Failure;
use common::events::OrderCancelled;

use super::follow;
use crate::state::App;

pub async fn handle(app: App, OrderCancelled(order): OrderCancelled) -> Result<(), Failure> {
    follow(&app, &order).await
}
