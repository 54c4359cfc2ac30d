//! `payment.released`: what was authorised is released. The order ends, if it has not ended.

use bus::Failure;
use common::events::PaymentReleased;

use crate::state::App;

pub async fn handle(app: App, PaymentReleased(payment): PaymentReleased) -> Result<(), Failure> {
    super::end_by_payment(&app, payment.order_id, payment.reminder, |order| {
        order.released(&payment)
    })
    .await
}
