//! `order.cancelled`: nothing may be charged any more, and an unpaid PaymentIntent is cancelled at Stripe.

use bus::Failure;
use common::events::OrderCancelled;

use crate::state::App;

pub async fn handle(app: App, OrderCancelled(order): OrderCancelled) -> Result<(), Failure> {
    super::follow(&app, &order).await
}
