//! `payment.failed`: a card was declined; the final decline ends the order.

use bus::Failure;
use common::events::PaymentFailed;

use crate::state::App;

pub async fn handle(app: App, PaymentFailed(payment): PaymentFailed) -> Result<(), Failure> {
    app.store.update(payment.order_id, |order| order.payment_failed(&payment)).await?;
    Ok(())
}
