//! `order.updated`: the seller has sent the ticket, or the buyer reports a problem; other changes lead to no mail.

use bus::Failure;
use common::events::OrderUpdated;

use super::follow_order;
use crate::state::App;

pub async fn handle(app: App, OrderUpdated(order): OrderUpdated) -> Result<(), Failure> {
    follow_order(&app, &order).await
}
