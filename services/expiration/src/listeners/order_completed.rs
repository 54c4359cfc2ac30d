//! `order.completed`: the ticket is sold; the hold has no end any more.

use bus::Failure;
use common::events::OrderCompleted;

use super::follow;
use crate::state::App;

pub async fn listen(app: App, OrderCompleted(order): OrderCompleted) -> Result<(), Failure> {
    follow(&app, &order).await
}
