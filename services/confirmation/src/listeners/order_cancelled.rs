//! `order.cancelled`: the reservation has expired, or the sale was refunded, disputed, or couldn't be charged; other ends lead to no
//! mail.

use bus::Failure;
use common::events::OrderCancelled;

use super::follow_order;
use crate::state::App;

pub async fn handle(app: App, OrderCancelled(order): OrderCancelled) -> Result<(), Failure> {
    follow_order(&app, &order).await
}
