//! `order.cancelled`: nothing may be charged any more, and what is open at Stripe is to be canceled.

use bus::Failure;
use common::events::OrderCancelled;

use crate::state::App;

pub async fn listen(app: App, OrderCancelled(order): OrderCancelled) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
