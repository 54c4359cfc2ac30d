//! `order.created`: a hold begins; its end is to be told.

use bus::Failure;
use common::events::OrderCreated;

use super::follow;
use crate::state::App;

pub async fn listen(app: App, OrderCreated(order): OrderCreated) -> Result<(), Failure> {
    follow(&app, &order).await
}
